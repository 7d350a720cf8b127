"""docs/web.md: what it has people write loads, and what is refused is refused in its words."""

import re
from pathlib import Path

import pytest

from sessiond import config
from sessiond.core.errors import ConfigError

ROOT = Path(__file__).parents[3]
GUIDE = (ROOT / "docs/web.md").read_text(encoding="utf-8")
(BLOCK,) = re.findall(r"^<!-- configuration -->\n```toml\n(.*?)^```$", GUIDE, re.M | re.S)


def test_the_configuration_loads(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(BLOCK)
    loaded = config.load(path)
    assert loaded.web.bases == ("https://gateway1.corp.example:5007",)
    (issuer,) = loaded.issuers
    assert issuer.web is not None
    assert GUIDE.count("```toml") == 1


def test_http_is_refused_in_the_words_of_the_guide(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(BLOCK.replace("https://gateway1", "http://gateway1"))
    with pytest.raises(ConfigError) as refused:
        config.load(path)
    assert f"```text\n{refused.value}\n```" in GUIDE


def test_what_it_quotes_of_the_example_page_is_there() -> None:
    page = (ROOT / "plugins/torq/page.q").read_text(encoding="utf-8")
    assert "\nescape:{" in page
    for used in (".sessiond.who .z.w", ".sessiond.signout[]"):
        assert used in page
        assert used in GUIDE


def test_every_page_that_a_person_may_see_is_explained() -> None:
    code = "".join(path.read_text() for path in sorted((ROOT / "sessiond/web").glob("*.py")))
    titles = set(re.findall(r'title="([^"]+)"', code))
    assert len(titles) > 10
    assert {title for title in titles if f"*{title}*" not in GUIDE} == set()


def test_nginx_takes_the_sizes_of_the_guides_buffers() -> None:
    """It refuses to start where two of the first are more than all others but one."""
    (header,) = re.findall(r"proxy_buffer_size (\d+)k;", GUIDE)
    ((count, size),) = re.findall(r"proxy_buffers (\d+) (\d+)k;", GUIDE)
    assert 2 * max(int(header), int(size)) <= (int(count) - 1) * int(size)
