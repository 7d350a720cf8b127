"""The configuration as a text for people: each key that it sets with a line of why."""

from collections.abc import Iterator

from sessiond import shared_files
from sessiond.init.answers import Answers
from sessiond.init.vendors import Key
from sessiond.init.written import comment, lines_of, toml


def document(answers: Answers) -> str:
    """Return the whole file.

    Raises:
        ConfigError: An answer is no text.
    """
    about = (
        f"Written by `sessiond init`, for {answers.vendor.title}. Every other key, with its "
        f"default and a line of why, is in {shared_files.EXAMPLE}. After a change:"
    )
    lines = [
        *comment(about),
        f"#   sessiond check-config --config {answers.config}",
        "#   systemctl reload sessiond",
        "",
        "[listen]",
        *lines_of(_of_listen(answers)),
        "",
        "[[issuer]]",
        *lines_of(_of_issuer(answers)),
    ]
    if answers.roles:
        lines += ["", "[issuer.roles]", *comment("What a token's value makes of its user here.")]
        lines += [f"{toml(value)} = {toml(role)}" for value, role in answers.roles.items()]
    return "\n".join(lines) + "\n"


def _of_listen(answers: Answers) -> Iterator[Key]:
    yield Key(
        "allow_users",
        (answers.q_user,),
        "Who q runs as; root and sessiond's own user may connect too.",
    )
    yield Key(
        "proof_key_file",
        answers.proof,
        "By this key q knows sessiond before it sends a token; q's group reads it.",
    )


def _of_issuer(answers: Answers) -> Iterator[Key]:
    vendor = answers.vendor
    yield Key("name", answers.name, "What logs and sessions call it.")
    if vendor.kind != "oidc":
        yield Key("kind", vendor.kind, f"What is peculiar to {vendor.title}, all in one.")
    yield Key("issuer", answers.issuer, "The `iss` of its tokens, letter by letter.")
    yield from _of_verify(answers)
    yield from vendor.keys
    yield from _of_program(answers)
    if answers.ca_file:
        yield Key("ca_file", answers.ca_file, "Who signed its certificate.")
    if answers.insecure_http:
        yield Key("insecure_http", True, "For tests: http:// on this very machine.")
    if answers.roles:
        yield Key("require_role", True, "Who has none of the roles below is refused.")


def _of_verify(answers: Answers) -> Iterator[Key]:
    why = {
        "jwt": "Tokens are checked here, with the issuer's published keys.",
        "introspection": "The issuer is asked about each token (RFC 7662).",
        "userinfo": "The issuer is asked whose each token is: the weaker promise.",
    }
    yield Key("verify", answers.verify, why[answers.verify])
    if answers.audience:
        yield Key("audience", answers.audience, "Keeps out tokens that are for other programs.")
    if answers.verify == "jwt" and answers.vendor.typ is not None:
        yield answers.vendor.typ
    if answers.scope and answers.verify != "userinfo":
        yield Key("required_scope", answers.scope, "Tells access tokens from id_tokens, too.")
    if answers.verify == "introspection":
        yield Key("client_id", answers.client_id, "sessiond's own client there, for asking.")
        yield Key("client_secret_file", answers.secret, "Its secret, readable by sessiond alone.")
        if not answers.vendor.keys:
            yield Key("user_claim", "username", "What RFC 7662 calls the user's name.")


def _of_program(answers: Answers) -> Iterator[Key]:
    if answers.program:
        yield Key(
            "refresh_client_id",
            answers.program,
            "The program that users sign in with: refresh tokens are bound to it.",
        )
    if answers.verify == "userinfo" and answers.program:
        yield Key(
            "prove_by_refresh",
            True,
            "A login must bring a refresh token, since only that shows whose program got both.",
        )
    if answers.vendor.kind == "entra":
        yield Key(
            "refresh_scope",
            answers.full_scope,
            "Without it Entra answers a refresh with a token for Microsoft Graph.",
        )
