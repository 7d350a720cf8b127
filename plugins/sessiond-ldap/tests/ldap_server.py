"""A real slapd (OpenLDAP) of its own, started by whoever runs the tests, with a CA of its own."""

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import trustme

BASE = "dc=corp,dc=example"
PEOPLE = f"ou=people,{BASE}"
GROUPS = f"ou=groups,{BASE}"
READER = f"cn=sessiond,{BASE}"
ROOT = f"cn=root,{BASE}"
PASSWORD = "s3cret-of-the-reader"
SCHEMA = "/etc/ldap/schema"

CONF = """\
include {schema}/core.schema
include {schema}/cosine.schema
include {schema}/inetorgperson.schema
modulepath {modules}
moduleload back_mdb
pidfile {folder}/slapd.pid
argsfile {folder}/slapd.args
TLSCACertificateFile {folder}/ca.pem
TLSCertificateFile {folder}/server.pem
TLSCertificateKeyFile {folder}/server.key
TLSVerifyClient try
sizelimit {sizelimit}
authz-regexp "gidNumber=.*\\+uidNumber=.*,cn=peercred,cn=external,cn=auth" "{reader}"
authz-regexp "cn=sessiond.*" "{reader}"
database mdb
suffix "{base}"
rootdn "{root}"
rootpw {password}
directory {folder}/db
dbnosync
access to * by dn.exact="{reader}" read by * auth
"""
TREE = f"""\
dn: {BASE}
objectClass: dcObject
objectClass: organization
dc: corp
o: Corp

dn: {PEOPLE}
objectClass: organizationalUnit
ou: people

dn: {GROUPS}
objectClass: organizationalUnit
ou: groups

dn: {READER}
objectClass: person
cn: sessiond
sn: sessiond
userPassword: {PASSWORD}
"""


class LdapServer:
    """One slapd. It listens on loopback, plain and with TLS, and on a Unix socket."""

    def __init__(self, folder: Path, *, sizelimit: int = 5000) -> None:
        self.folder = folder
        (folder / "db").mkdir()
        self.ca = trustme.CA()
        self.ca.cert_pem.write_to_path(folder / "ca.pem")
        self.certify("server", "127.0.0.1")
        client = self.ca.issue_cert("sessiond.corp.example", common_name="sessiond")
        client.cert_chain_pems[0].write_to_path(folder / "client.pem")
        client.private_key_pem.write_to_path(folder / "client.key")
        (folder / "client.key").chmod(0o600)
        self.port, self.tls_port = free_port(), free_port()
        (folder / "slapd.conf").write_text(
            CONF.format(
                schema=SCHEMA,
                modules=next(iter(Path("/usr/lib").glob("ldap"))),
                folder=folder,
                base=BASE,
                root=ROOT,
                reader=READER,
                password=PASSWORD,
                sizelimit=sizelimit,
            )
        )
        self._process: subprocess.Popen[bytes] | None = None
        self.start()
        self.add(TREE)

    @property
    def url(self) -> str:
        return f"ldap://127.0.0.1:{self.port}"

    @property
    def tls_url(self) -> str:
        return f"ldaps://127.0.0.1:{self.tls_port}"

    @property
    def unix_url(self) -> str:
        return f"ldapi://{str(self.folder / 'ldapi').replace('/', '%2F')}"

    @property
    def password_file(self) -> Path:
        path = self.folder / "password"
        if not path.exists():
            path.write_text(f"{PASSWORD}\n")
            path.chmod(0o600)
        return path

    def settings(self, **more: Any) -> dict[str, Any]:
        """Return a table that uses it: simple bind, inside TLS."""
        usual = {
            "url": self.tls_url,
            "ca_file": str(self.folder / "ca.pem"),
            "bind_dn": READER,
            "password_file": str(self.password_file),
            "user_base": PEOPLE,
            "user_filter": "(uid={user})",
            "group_base": GROUPS,
            "roles": {f"cn=traders,{GROUPS}": "trading"},
        }
        return {key: value for key, value in {**usual, **more}.items() if value is not None}

    def start(self) -> None:
        urls = f"{self.url}/ {self.tls_url}/ {self.unix_url}"
        # A copy, since AppArmor may confine the original to its own folders.
        program = self.folder / "slapd"
        if not program.exists():
            shutil.copy2("/usr/sbin/slapd", program)
        with (self.folder / "slapd.log").open("ab") as log:
            self._process = subprocess.Popen(
                [program, "-d", "0", "-f", self.folder / "slapd.conf", "-h", urls],
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
        for _ in range(600):
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except OSError:
                assert self._process.poll() is None, (self.folder / "slapd.log").read_text()
                time.sleep(0.05)  # noqa: TID251 - slapd does not say when it listens
        raise AssertionError("slapd does not listen")

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def hold(self) -> None:
        """Have it say nothing more, and stay connected: once all its threads stand still."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WNOWAIT)

    def go_on(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def connections(self) -> int:
        """Return how many are connected to it by TCP, as the kernel sees it."""
        ports = {f"{self.port:04X}", f"{self.tls_port:04X}"}
        lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
        rows = [line.split() for line in lines]
        return sum(row[1].split(":")[1] in ports and row[3] == "01" for row in rows)

    def add(self, ldif: str) -> None:
        self._change("ldapadd", ldif)

    def modify(self, ldif: str) -> None:
        self._change("ldapmodify", ldif)

    def add_user(self, uid: str, **attributes: str) -> str:
        """Add somebody, and return his entry's name."""
        name = f"uid={escaped_in_name(uid)},{PEOPLE}"
        lines = [f"dn: {name}", "objectClass: inetOrgPerson", f"uid: {uid}", f"cn: {uid}", "sn: x"]
        lines += [f"{key}: {value}" for key, value in attributes.items()]
        self.add("\n".join(lines) + "\n")
        return name

    def add_group(self, cn: str, *members: str) -> str:
        name = f"cn={escaped_in_name(cn)},{GROUPS}"
        lines = [f"dn: {name}", "objectClass: groupOfNames", f"cn: {cn}"]
        lines += [f"member: {member}" for member in members]
        self.add("\n".join(lines) + "\n")
        return name

    def _change(self, program: str, ldif: str) -> None:
        environ = {"PATH": os.environ["PATH"], "LDAPNOINIT": "1"}
        done = subprocess.run(
            [program, "-x", "-M", "-H", self.url, "-D", ROOT, "-w", PASSWORD],
            input=ldif.encode(),
            env=environ,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()

    def certify(self, name: str, *identities: str) -> None:
        made = self.ca.issue_cert(*identities)
        made.cert_chain_pems[0].write_to_path(self.folder / f"{name}.pem")
        made.private_key_pem.write_to_path(self.folder / f"{name}.key")


def escaped_in_name(value: str) -> str:
    return "".join(f"\\{c}" if c in '\\,+"<>;=#' else c for c in value)


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])
