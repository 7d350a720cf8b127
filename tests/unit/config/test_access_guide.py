"""docs/access.md: what it has people write is a configuration that loads."""

import re
from pathlib import Path

import pytest

from sessiond import config
from sessiond.core.errors import ConfigError

GUIDE = Path(__file__).parents[3] / "docs/access.md"
ISSUER = """
[[issuer]]
name = "corp"
issuer = "https://login.corp.example/"
verify = "jwt"
audience = ["api://kdb"]
"""
BLOCK = re.compile(r"^<!-- configuration -->\n```toml\n(.*?)^```$", re.M | re.S)
BLOCKS = BLOCK.findall(GUIDE.read_text(encoding="utf-8"))


def test_every_configuration_of_the_guide_is_checked() -> None:
    assert len(BLOCKS) == GUIDE.read_text(encoding="utf-8").count("```toml") > 3


@pytest.mark.parametrize("block", BLOCKS)
def test_a_configuration_of_the_guide_loads(tmp_path: Path, block: str) -> None:
    path = tmp_path / "config.toml"
    path.write_text(block + ISSUER)
    assert config.load(path).access.process


def test_an_estate_without_peers_is_refused_as_the_guide_says(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    (block,) = [each for each in BLOCKS if "estate" in each]
    path.write_text(block.replace('peers = ["kdb"]\n', "") + ISSUER)
    with pytest.raises(ConfigError, match="peers"):
        config.load(path)
