"""Each table of docs/issuers.md, against tokens, keys and answers of that issuer's shape."""

from dataclasses import replace

import msgspec
import pytest

from sessiond.config import IssuerConfig
from sessiond.core.access import AccessRules, shortage_of
from sessiond.core.errors import IssuerUnavailable, RefreshRefused, Refusal, TokenRejected
from sessiond.core.password import MARK, read_password, stated_claims
from sessiond.core.verdict import Verdict
from sessiond.jwt.access import SCOPE_CLAIMS
from tests.shapes import page
from tests.shapes.shape import Shape, Token, shapes
from tests.shapes.stand_in import StandIn
from tests.unit.jwt.forge import NOW, signed

pytestmark = pytest.mark.anyio

SHAPES = shapes()
TABLES = page.tables()
TOKENS = [(name, token) for name, shape in SHAPES.items() for token in shape.tokens]
GOOD = [(name, token) for name, token in TOKENS if token.accepted]
IDS = [f"{name}-{token.what}" for name, token in TOKENS]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def verdict_on(token: Token, shape: Shape, config: IssuerConfig) -> Verdict:
    """Return what the token proves, where that is enough for a login."""
    verdict = await StandIn(shape, config).connected().verifier.verify(token.text, now=NOW)
    required = frozenset({verdict.principal.issuer} if config.require_role else ())
    denied = shortage_of(AccessRules(required=required), verdict)
    if denied is not None:
        raise TokenRejected(denied.reason, denied.detail)
    return verdict


async def refusal_of(token: Token, shape: Shape, config: IssuerConfig) -> Refusal:
    with pytest.raises(TokenRejected) as rejected:
        await verdict_on(token, shape, config)
    return rejected.value.reason


@pytest.mark.parametrize(("name", "token"), TOKENS, ids=IDS)
async def test_each_token_of_an_issuer_is_let_in_or_refused_as_it_should(
    name: str, token: Token
) -> None:
    if token.accepted is None:
        assert await refusal_of(token, SHAPES[name], TABLES[name]) == token.refused
        return
    verdict = await verdict_on(token, SHAPES[name], TABLES[name])
    assert verdict.principal.name == token.accepted.name
    assert verdict.principal.subject == token.accepted.subject
    assert verdict.roles == token.accepted.roles


@pytest.mark.parametrize(
    ("name", "token"), GOOD, ids=[f"{name}-{token.what}" for name, token in GOOD]
)
def test_what_lets_a_user_in_is_a_password_that_leads_to_its_issuer(
    name: str, token: Token
) -> None:
    access, refresh = token.text.reveal(), SHAPES[name].refresh.token.reveal()
    if not token.is_password:
        with pytest.raises(TokenRejected):
            read_password(f"{MARK}{access};{refresh}")
        return
    presented = read_password(f"{MARK}{access};{refresh}")
    assert presented.access.reveal() == access
    assert presented.refresh is not None
    assert presented.refresh.reveal() == refresh
    if presented.is_jwt:
        assert presented.stated_issuer in {TABLES[name].issuer, *TABLES[name].also_issued_as}


@pytest.mark.parametrize("name", [name for name, each in TABLES.items() if each.required_scope])
async def test_a_user_s_token_without_the_table_s_scope_is_refused(name: str) -> None:
    user, other = SHAPES[name].tokens[0], dict.fromkeys(SCOPE_CLAIMS, "for-something-else")
    if user.answer:
        token = replace(user, answer={**user.answer, **other})
    else:
        claims = {**(stated_claims(user.text) or {}), **other}
        token = replace(user, text=signed(user.header, claims))
    shape = replace(SHAPES[name], tokens=(token,))
    assert await refusal_of(token, shape, TABLES[name]) is Refusal.WRONGSCOPE


@pytest.mark.parametrize("name", [name for name, each in TABLES.items() if each.require_role])
async def test_a_user_who_has_none_of_the_table_s_roles_is_refused(name: str) -> None:
    config = msgspec.structs.replace(TABLES[name], roles={"another role": "reader"})
    shape = SHAPES[name]
    assert await refusal_of(shape.tokens[0], shape, config) is Refusal.NOROLES


@pytest.mark.parametrize("name", SHAPES)
async def test_a_refresh_brings_the_same_user_and_the_token_to_refresh_with_next(
    name: str,
) -> None:
    shape, config = SHAPES[name], TABLES[name]
    stand_in = StandIn(shape, config)
    issuer = stand_in.connected()
    tokens = await issuer.tokens.refresh(shape.refresh.token)
    verdict = await issuer.verifier.verify(
        tokens.access_token, now=NOW, expires_in=tokens.expires_in
    )
    assert shape.tokens[0].accepted is not None
    assert verdict.principal.name == shape.tokens[0].accepted.name
    next_one = None if tokens.refresh_token is None else tokens.refresh_token.reveal()
    assert next_one == shape.refresh.answer.get("refresh_token")


@pytest.mark.parametrize("name", SHAPES)
async def test_a_refresh_is_asked_for_as_the_table_says(name: str) -> None:
    config = TABLES[name]
    stand_in = StandIn(SHAPES[name], config)
    await stand_in.connected().tokens.refresh(SHAPES[name].refresh.token)
    own = not config.refresh_client_id
    secret = config.client_secret_file if own else config.refresh_client_secret_file
    assert stand_in.refreshed_by == (config.client_id if own else config.refresh_client_id)
    assert stand_in.proved == bool(secret)
    assert stand_in.scope >= set(config.refresh_scope.split())


@pytest.mark.parametrize("name", SHAPES)
async def test_a_spent_refresh_token_ends_the_session_where_the_issuer_says_so(name: str) -> None:
    refresh, stand_in = SHAPES[name].refresh, StandIn(SHAPES[name], TABLES[name])
    stand_in.is_spent = True
    with pytest.raises(RefreshRefused if refresh.ends else IssuerUnavailable):
        await stand_in.connected().tokens.refresh(refresh.token)


@pytest.mark.parametrize("claims", [{"typ": "ID"}, {"aud": "qstudio"}], ids=str)
async def test_without_keycloaks_switch_its_id_tokens_are_still_told_apart(
    claims: dict[str, str],
) -> None:
    shape = SHAPES["keycloak"]
    config = msgspec.structs.replace(TABLES["keycloak"], typ=("JWT",))
    user, header = shape.tokens[0], {**shape.tokens[0].header, "typ": "JWT"}
    said = stated_claims(user.text) or {}
    without = replace(user, text=signed(header, said))
    assert (await verdict_on(without, shape, config)).roles == ("reader",)
    await refusal_of(replace(user, text=signed(header, {**said, **claims})), shape, config)
