"""What a test needs of the machine, and one rule for when it is absent.

`@pytest.mark.needs("real")`: PyKX, Node.js and the test issuer's packages. Absent: skipped and
listed; an error when CI=true. `@pytest.mark.needs("man")`: man-db, in the same way.
`@pytest.mark.needs("clients")`: kdb+ clients as tests.clients.install leaves them, with Node.js
and Java to run them on.
`@pytest.mark.needs("q")`: a q interpreter, `$SESSIOND_TEST_Q` or `q`
on PATH. Absent: listed as not run, in CI too, since its licence does not travel.
`@pytest.mark.needs("torq")`: TorQ's own files, a checkout at `$SESSIOND_TEST_TORQ`; in the same
way.
`@pytest.mark.needs("systemd")`: systemd's tools, which need no running systemd.
`@pytest.mark.needs("promtool")`: Prometheus' own checker of rules and metrics.
`@pytest.mark.needs("browser")`: Debian's Chromium, and Playwright to drive it.
`@pytest.mark.needs("openssl")`: its command, which a guide uses.
`@pytest.mark.needs("curl")`: its command, as guides and operators use it.
`@pytest.mark.needs("maven")`: Maven and a Java compiler.
`@pytest.mark.needs("keyring")`: a desktop's keyring, GNOME's, and a session bus to reach it.
`@pytest.mark.needs("ldap")`: OpenLDAP's server and tools, and bonsai, built on its library.
`@pytest.mark.needs("keycloak")`: Java, and Keycloak as tests.keycloak.install leaves it.
`@pytest.mark.needs("debian")`: what builds, checks and installs a Debian package. All are errors
when CI=true.
"""

import os
import shutil
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from tests.clients.install import JAVAKDB
from tests.issuer.install import INSTALLED, node_home
from tests.keycloak import install as keycloak

SERVERS = Path("/usr/sbin")  # Debian's
# By the package of Debian that has it.
PROGRAMS = {
    "systemd": {"systemd-analyze": "systemd", "systemd-socket-activate": "systemd"},
    "promtool": {"promtool": "prometheus"},
    "browser": {"chromium": "chromium"},
    "clients": {"javac": "default-jdk-headless"},
    "openssl": {"openssl": "openssl"},
    "curl": {"curl": "curl"},
    "maven": {"mvn": "maven", "javac": "default-jdk-headless"},
    "keyring": {"gnome-keyring-daemon": "gnome-keyring", "dbus-run-session": "dbus-daemon"},
    "ldap": {"slapd": "slapd", "ldapadd": "ldap-utils"},
    "debian": {
        "dpkg-buildpackage": "dpkg-dev",
        "dh": "debhelper",
        "fakeroot": "fakeroot",
        "lintian": "lintian",
        "debootstrap": "debootstrap",
    },
}


def absent(what: str) -> str | None:
    """Return what is missing for `what`, or None when all of it is there."""
    match what:
        case "real":
            return _absent_real()
        case "man":
            return None if shutil.which("man") else "no man: install man-db"
        case "q":
            return None if q_interpreter() else "no q: set SESSIOND_TEST_Q or put q on PATH"
        case "torq":
            return (
                None if torq_checkout() else "no TorQ: set SESSIOND_TEST_TORQ to a checkout of it"
            )
        case "keycloak":
            return _absent_keycloak()
        case "clients" if node_home() is None or not JAVAKDB.exists():
            return "no kdb+ clients: python -m tests.clients.install"
        case "ldap" if find_spec("bonsai") is None:
            return "no bonsai: apt-get install libldap2-dev libsasl2-dev gcc, then make test"
        case "browser" if find_spec("playwright") is None:
            return "no Playwright: pip install '.[real]'"
        case _ if what in PROGRAMS:
            return _absent_programs(PROGRAMS[what])
        case _:
            known = ", ".join(["real", "man", "q", "torq", "keycloak", *PROGRAMS])
            raise ValueError(f"a test needs {what!r}; known: {known}")


def is_error(what: str) -> bool:
    """Say whether the absence of `what` fails the test instead of skipping it."""
    return what not in {"q", "torq"} and os.environ.get("CI") == "true"


def q_interpreter() -> str | None:
    """Return the path of the q to test with, or None."""
    return os.environ.get("SESSIOND_TEST_Q") or shutil.which("q")


def torq_checkout() -> Path | None:
    """Return the directory of TorQ's sources to test with, or None."""
    named = Path(os.environ.get("SESSIOND_TEST_TORQ", "/nowhere"))
    return named if (named / "torq.q").exists() else None


def _absent_programs(programs: Mapping[str, str]) -> str | None:
    lacking = {package for name, package in programs.items() if not _is_there(name)}
    return f"apt-get install {' '.join(sorted(lacking))}" if lacking else None


def _is_there(program: str) -> bool:
    """Say whether a program is installed: a server's may be outside the PATH of users."""
    return shutil.which(program) is not None or (SERVERS / program).exists()


def _absent_keycloak() -> str | None:
    if shutil.which("java") is None:
        return keycloak.NO_JAVA
    if not keycloak.INSTALLED.exists():
        return "no Keycloak: python -m tests.keycloak.install"
    return None


def _absent_real() -> str | None:
    if find_spec("pykx") is None:
        return "no PyKX: pip install '.[real]'"
    if node_home() is None:
        return "no Node.js: pip install '.[real]'"
    if not INSTALLED.exists():
        return "no npm packages: python -m tests.issuer.install"
    return None
