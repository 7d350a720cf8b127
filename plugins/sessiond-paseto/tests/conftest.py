"""Makes `paseto_mint` importable, which plays the issuer."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
