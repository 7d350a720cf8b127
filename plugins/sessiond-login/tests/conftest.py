"""Where what these tests share is found: they are no package."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
