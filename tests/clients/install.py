"""Install kdb+ clients of other people for the tests: `python -m tests.clients.install`.

node-q comes from npm as tests.issuer's packages do. KX's javakdb comes from Maven Central by the
version and the digest that .ci/pins has; it is fetched last.
"""

from pathlib import Path

from tests.issuer.install import install as npm_install
from tests.keycloak.install import fetch

HERE = Path(__file__).parent
PIN = HERE.parents[1] / ".ci/pins/javakdb.sha512"  # one line, as sha512sum writes it
CENTRAL = "https://repo.maven.apache.org/maven2/com/kx/javakdb"
JAVAKDB = HERE / "dist" / "javakdb.jar"
NODE_MODULES = HERE / "node_modules"


def pinned() -> tuple[str, str]:
    """Return the version and the SHA-512 of javakdb."""
    digest, name = PIN.read_text(encoding="ascii").split()
    return name.removeprefix("javakdb-").removesuffix(".jar"), digest


def install() -> None:
    """Make them what the lock file and the pin say."""
    npm_install(HERE)
    version, digest = pinned()
    JAVAKDB.parent.mkdir(exist_ok=True)
    fetch(f"{CENTRAL}/{version}/javakdb-{version}.jar", digest, JAVAKDB)


if __name__ == "__main__":
    install()
