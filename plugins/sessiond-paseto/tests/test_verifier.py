"""Tokens, from an issuer whose keys are in a file, to verdicts."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from paseto_mint import CLAIMS, ISSUER, Mint, key_file
from sessiond_paseto import PasetoVerifier, verifier

from sessiond.api import (
    IssuerAbout,
    IssuerUnavailable,
    Refusal,
    Secret,
    SettingsError,
    TokenRejected,
    Verdict,
)
from sessiond.testing import issuer_about

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
ABOUT = issuer_about(issuers=[ISSUER], roles={"trader": "trading"})
ONE, OTHER = Mint(1), Mint(2)


def made(path: Path, about: IssuerAbout = ABOUT, **keys: object) -> PasetoVerifier:
    return verifier(issuer=about, key_file=str(path), **keys)


async def verdict_on(made: PasetoVerifier, token: str) -> Verdict:
    return await made.verify(Secret(token), now=NOW)


async def reason(made: PasetoVerifier, token: str) -> Refusal:
    with pytest.raises(TokenRejected) as rejected:
        await verdict_on(made, token)
    return rejected.value.reason


async def test_a_good_token_says_who_it_is_and_until_when(tmp_path: Path) -> None:
    paseto = made(key_file(tmp_path, ONE.line))
    verdict = await verdict_on(paseto, ONE.token({**CLAIMS, "roles": ["trader", "clerk"]}))
    assert verdict.principal.name == "alice"
    assert verdict.lease.issued_at == NOW - timedelta(minutes=1)
    assert verdict.lease.expires_at == NOW + timedelta(hours=1)
    assert verdict.stated_iat == NOW - timedelta(minutes=1)
    assert verdict.roles == ("trading",)
    assert paseto.still_valid(verdict)
    assert not paseto.is_online
    assert not paseto.needs_call(Secret("any"))
    await paseto.probe()


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"exp": "2026-03-02T09:00:00Z"}, Refusal.EXPIRED),
        ({"nbf": "2026-03-02T09:00:31Z"}, Refusal.NOTYET),
        ({"iat": "2026-03-02T09:00:31Z"}, Refusal.NOTYET),
        ({"exp": 1772445600}, Refusal.MALFORMED),
        ({"aud": "api://other"}, Refusal.WRONGAUDIENCE),
        ({"aud": None}, Refusal.MALFORMED),
        ({"iss": "elsewhere"}, Refusal.WRONGISSUER),
        ({"sub": None}, Refusal.MALFORMED),
    ],
)
async def test_each_claim_is_judged(
    tmp_path: Path, changed: dict[str, object], why: Refusal
) -> None:
    paseto = made(key_file(tmp_path, ONE.line))
    assert await reason(paseto, ONE.token({**CLAIMS, **changed})) is why


async def test_a_token_without_an_end_or_an_audience_is_refused(tmp_path: Path) -> None:
    paseto = made(key_file(tmp_path, ONE.line))
    for missing, why in (("exp", Refusal.MALFORMED), ("aud", Refusal.WRONGAUDIENCE)):
        left = {name: value for name, value in CLAIMS.items() if name != missing}
        assert await reason(paseto, ONE.token(left)) is why


@pytest.mark.parametrize(
    ("token", "why"),
    [
        ("v4.public.AAAA", Refusal.MALFORMED),
        ("eyJhbGciOiJub25lIn0.e30.AA", Refusal.MALFORMED),
        ("v4.local.AAAA", Refusal.WRONGTYPE),
        ("v2.public.AAAA", Refusal.WRONGTYPE),
        (OTHER.token(), Refusal.BADSIGNATURE),
        (ONE.token(assertion="staging"), Refusal.BADSIGNATURE),
        (ONE.token(footer="not JSON"), Refusal.MALFORMED),
        (ONE.token(footer='{"kid":5}'), Refusal.MALFORMED),
        (ONE.token(footer='{"wpk":"x"}'), Refusal.MALFORMED),
        (ONE.token(footer='{"kid":"none"}'), Refusal.BADSIGNATURE),
        (ONE.token(footer='{"kid":"main","a":"' + "x" * 1024 + '"}'), Refusal.MALFORMED),
        (ONE.token(b"[]"), Refusal.MALFORMED),
    ],
)
async def test_what_is_not_signed_by_the_issuer_is_refused(
    tmp_path: Path, token: str, why: Refusal
) -> None:
    assert await reason(made(key_file(tmp_path, f"{ONE.line} main")), token) is why


async def test_the_footer_picks_the_key(tmp_path: Path) -> None:
    paseto = made(key_file(tmp_path, f"{ONE.line} one", f"{OTHER.line} other"))
    footer = '{"kid":"other"}'
    assert (await verdict_on(paseto, OTHER.token(footer=footer))).principal.name == "alice"
    assert await reason(paseto, ONE.token(footer=footer)) is Refusal.BADSIGNATURE
    assert await reason(paseto, ONE.token()) is Refusal.BADSIGNATURE


async def test_an_implicit_assertion_is_part_of_what_is_signed(tmp_path: Path) -> None:
    paseto = made(key_file(tmp_path, ONE.line), implicit_assertion="prod")
    assert (await verdict_on(paseto, ONE.token(assertion="prod"))).principal.name == "alice"
    assert await reason(paseto, ONE.token()) is Refusal.BADSIGNATURE


async def test_a_key_that_was_taken_out_of_the_file_vouches_for_nothing(tmp_path: Path) -> None:
    path = key_file(tmp_path, ONE.line)
    paseto = made(path)
    verdict = await verdict_on(paseto, ONE.token())
    key_file(tmp_path, f"{OTHER.line} new")
    assert not paseto.still_valid(verdict)
    assert await reason(paseto, ONE.token()) is Refusal.BADSIGNATURE
    assert (await verdict_on(paseto, OTHER.token())).principal.name == "alice"


async def test_a_key_file_that_others_may_write_is_no_key_file(tmp_path: Path) -> None:
    path = key_file(tmp_path, ONE.line)
    paseto = made(path)
    verdict = await verdict_on(paseto, ONE.token())
    path.chmod(0o666)
    assert not paseto.still_valid(verdict)
    for call in (paseto.verify(Secret(ONE.token()), now=NOW), paseto.probe()):
        with pytest.raises(IssuerUnavailable, match=r"no keys: .*chmod go-w"):
            await call
    with pytest.raises(SettingsError, match=r"^key_file: .*chmod go-w"):
        made(path)


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ({}, "key_file is missing"),
        ({"key_file": "relative"}, "key_file is wrong"),
        ({"key_file": "/none/such"}, "key_file: cannot read /none/such"),
        ({"keyfile": "/x"}, "keyfile is unknown; did you mean key_file?"),
    ],
)
def test_wrong_settings_are_named(keys: dict[str, object], problem: str) -> None:
    with pytest.raises(SettingsError) as raised:
        verifier(issuer=ABOUT, **keys)
    assert problem in str(raised.value)


def test_an_issuer_without_an_audience_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="audience"):
        made(key_file(tmp_path, ONE.line), issuer_about(audience=()))
