"""Install Keycloak for the tests: `python -m tests.keycloak.install`.

The distribution comes from Maven Central by the version and the digest that .ci/pins has. It is
made ready once (`kc.sh build`), which no start has to do then. Without Java nothing is fetched:
then what needs Keycloak is skipped, and listed.
"""

import hashlib
import os
import re
import shutil
import subprocess
import urllib.request
import zipfile
from pathlib import Path

HERE = Path(__file__).parent
PIN = HERE.parents[1] / ".ci/pins/keycloak.sha512"  # one line, as sha512sum writes it
DIST = HERE / "dist"
INSTALLED = DIST / ".installed"  # written last
CENTRAL = "https://repo.maven.apache.org/maven2/org/keycloak/keycloak-quarkus-dist"
NO_JAVA = "no java: apt-get install default-jre-headless"
JVM = "-XX:TieredStopAtLevel=1"  # none lives long enough to gain by more compiling
CHUNK = 1 << 20  # bytes


def pinned() -> tuple[str, str]:
    """Return the version and the SHA-512 of the distribution."""
    digest, name = PIN.read_text(encoding="ascii").split()
    found = re.fullmatch(r"keycloak-quarkus-dist-(\d+\.\d+\.\d+)\.zip", name)
    if found is None or not re.fullmatch("[0-9a-f]{128}", digest):
        raise SystemExit(f"{PIN} is not a line of sha512sum for Keycloak's distribution")
    return found[1], digest


def home() -> Path:
    """Return where the installed distribution is."""
    return DIST / f"keycloak-{pinned()[0]}"


def fetch(address: str, digest: str, archive: Path) -> None:
    """Download a file, and keep it only where it is what was pinned."""
    seen = hashlib.sha512()
    request = urllib.request.urlopen(address, timeout=60)  # noqa: S310 - https, see CENTRAL
    with request as source, archive.open("wb") as copy:
        while chunk := source.read(CHUNK):
            seen.update(chunk)
            copy.write(chunk)
    if seen.hexdigest() != digest:
        archive.unlink()
        raise SystemExit(f"{address} has the SHA-512 {seen.hexdigest()}, pinned is {digest}")


def install() -> None:
    """Make the distribution what the pin says."""
    if shutil.which("java") is None:
        print(f"{NO_JAVA}; until then what needs Keycloak is not tested")
        return
    version, digest = pinned()
    shutil.rmtree(DIST, ignore_errors=True)
    DIST.mkdir()
    archive = DIST / "keycloak.zip"
    fetch(f"{CENTRAL}/{version}/keycloak-quarkus-dist-{version}.zip", digest, archive)
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(DIST)
    archive.unlink()
    subprocess.run(
        ["sh", home() / "bin/kc.sh", "build", "--db=dev-mem"],
        env=os.environ | {"JAVA_OPTS_APPEND": JVM},
        check=True,
    )
    INSTALLED.touch()


if __name__ == "__main__":
    install()
