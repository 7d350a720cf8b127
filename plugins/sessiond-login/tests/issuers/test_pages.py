"""What the tab shows."""

import hashlib
from base64 import b64encode

from sessiond_login.issuers import pages


def test_what_others_have_written_is_text_on_the_page() -> None:
    page = pages.failed('the issuer said <script>alert("x")</script> & more').to_bytes().decode()
    assert "<script" not in page
    assert "The issuer said &lt;script&gt;" in page


def test_a_text_that_is_no_unicode_is_shown_nevertheless() -> None:
    assert b"?" in pages.failed("\udc80").to_bytes()


def test_the_style_is_the_one_that_the_policy_lets_through() -> None:
    style = pages.signed_in("a", "b").to_bytes().partition(b"<style>")[2].partition(b"</style>")[0]
    digest = b64encode(hashlib.sha256(style).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in pages.HEADERS["Content-Security-Policy"]
