"""What was written is looked at as a start would, and what is missing yet ends nothing."""

from pathlib import Path

import pytest

from sessiond.core.errors import ConfigError
from sessiond.init.checking import checked

CONFIG = """
[listen]
allow_users = ["root"]
[store]
path = "{folder}/db/sessiond.db"
[[issuer]]
name = "corp"
issuer = "https://login.example.com/"
verify = "introspection"
client_secret_file = "{folder}/corp.secret"
"""


def written(folder: Path) -> Path:
    (folder / "db").mkdir(mode=0o700)
    config = folder / "config.toml"
    config.write_text(CONFIG.format(folder=folder))
    return config


def test_what_a_start_would_miss_is_said(tmp_path: Path) -> None:
    config = written(tmp_path)
    first, *problems = checked(config, Path("/"))
    assert first == "Not yet as a start needs it:"
    assert any("corp.secret" in each for each in problems)
    (tmp_path / "corp.secret").write_text("s3cret\n")
    (tmp_path / "corp.secret").chmod(0o600)
    assert checked(config, Path("/"))[0].startswith(f"{config}: ok, and so is what it needs")


def test_of_an_image_only_the_file_is_looked_at(tmp_path: Path) -> None:
    config = written(tmp_path)
    assert checked(Path("/config.toml"), tmp_path) == [f"{config}: ok"]
    config.write_text("[listen]\nprot = 1\n")
    with pytest.raises(ConfigError, match=r"listen\.prot"):
        checked(Path("/config.toml"), tmp_path)


def test_nothing_that_lies_where_root_stands_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = written(tmp_path)
    public = tmp_path / "public"
    public.mkdir()
    for name in ("sessiond", "click", "json"):
        (public / f"{name}.py").write_text(f"open({str(tmp_path / 'run')!r}, 'w')\n")
    monkeypatch.chdir(public)
    assert checked(config, Path("/"))[0] == "Not yet as a start needs it:"
    assert not (tmp_path / "run").exists()
