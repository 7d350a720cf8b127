"""docs/web.md, its commands run: a certificate that a browser takes for the name."""

import re
import ssl
import subprocess
from pathlib import Path

import pytest

GUIDE = (Path(__file__).parents[2] / "docs/web.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^<!-- run: (\w+) -->\n```sh\n(.*?)^```$", GUIDE, re.M | re.S)


@pytest.mark.needs("openssl")
def test_the_guides_commands_make_a_key_and_a_certificate_with_the_name(tmp_path: Path) -> None:
    assert [name for name, _ in COMMANDS] == ["request", "sign"]
    script = "\n".join(["set -eu", *(text for _, text in COMMANDS)])
    subprocess.run(
        ["bash", "-c", script],
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        check=True,
        capture_output=True,
    )
    key, certificate = tmp_path / "tls/gateway1.key", tmp_path / "tls/gateway1.pem"
    ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(certificate, key)
    shown = subprocess.run(
        ["openssl", "x509", "-noout", "-ext", "subjectAltName", "-in", certificate],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert "DNS:gateway1.corp.example" in shown
    assert key.stat().st_mode & 0o077 == 0
    assert key.parent.stat().st_mode & 0o077 == 0
