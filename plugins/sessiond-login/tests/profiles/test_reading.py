"""What a login.toml may say, which profile counts, and for whom tokens are of use."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sessiond_login.errors import ProfileRefused
from sessiond_login.profile import Profile
from sessiond_login.profiles.reading import LoginFile, chosen, made_for, read

CORP = Profile(issuer="https://idp.example/corp", client_id="kdb")
MINIMAL = """
[profile.corp]
issuer = "https://idp.example/corp"
client_id = "kdb"
"""


def test_a_profile_needs_an_issuer_and_a_client() -> None:
    assert read(MINIMAL, "login.toml") == LoginFile(profiles={"corp": CORP})


def test_an_empty_file_has_no_profiles() -> None:
    assert read("", "login.toml") == LoginFile()


def test_a_file_may_say_where_tokens_are_kept() -> None:
    assert read('keep = "file"', "login.toml").keep == "file"


WRONG = {
    "[profile.corp": "login.toml is not TOML: ",
    "x = " + "9" * 5000: "login.toml is not TOML",
    "[profiles.corp]": "profiles is unknown; did you mean profile?",
    'keep = "disk"': "keep is 'disk', must be keyring, file or none",
    "profile = 1": "profile must be tables: [profile.NAME]",
    "[profile]\ncorp = 1": "profile[corp] must be a table: [profile.corp]",
    '[profile."../x"]': "profile[../x] is no name for a profile, must be 1 to 64 of",
    '[profile."a\\u001b"]': "profile['a\\x1b'] is no name",
    "[profile.a]\n[profile.A]": "profile[A] differs from profile[a] in case alone",
    MINIMAL + 'kind = "azure"': "profile[corp].kind is 'azure', must be oidc or entra",
    MINIMAL + 'scope = "openid"': (
        "profile[corp].scope is unknown; did you mean profile[corp].scopes?"
    ),
    MINIMAL + "zzz = 1": "profile[corp].zzz is unknown\n",
    "[profile.corp]": "profile[corp].issuer is missing\nprofile[corp].client_id is missing",
    MINIMAL + 'scopes = "openid"': "profile[corp].scopes is 'openid', must be an array of strings",
    MINIMAL + "scopes = [1]": "profile[corp].scopes is [1], must be an array of strings",
    MINIMAL + 'scopes = ["profile"]': "profile[corp].scopes must contain openid",
    MINIMAL + 'scopes = ["openid\\u0007"]': "profile[corp].scopes must be printable",
    MINIMAL + 'max_age = "1"': "profile[corp].max_age is '1', must be an integer",
    MINIMAL + "max_age = -1": "profile[corp].max_age is -1, must be 0 to 31,622,400 seconds",
    MINIMAL + f"max_age = 1{'0' * 400}": "must be 0 to 31,622,400 seconds",
    MINIMAL + "insecure_http = 1": "profile[corp].insecure_http is 1, must be a boolean",
    MINIMAL + "audience = 1": "profile[corp].audience is 1, must be a string",
    MINIMAL + f'audience = "{"x" * 2049}"': "audience must be printable, and at most 2,048",
    MINIMAL + 'ca_file = "ca.pem"': "profile[corp].ca_file is 'ca.pem', must be an absolute path",
    MINIMAL.replace('"kdb"', '""'): "profile[corp].client_id is empty",
    MINIMAL.replace("https", "http"): (
        "profile[corp].issuer is 'http://idp.example/corp', must be https://"
    ),
    MINIMAL.replace("https", "http") + "insecure_http = true": "for an issuer of this machine",
    MINIMAL.replace("https://", ""): "must be an https:// address of ASCII",
    MINIMAL.replace("idp", "\u0456dp"): "must be an https:// address of ASCII",
    MINIMAL.replace("idp.example", "[idp"): "must be an https:// address of ASCII",
    MINIMAL.replace("idp.example", "idp.example:99999"): "must be an https:// address of ASCII",
    MINIMAL.replace("idp", "u:p@idp"): "must be without user, password, query and fragment",
}


@pytest.mark.parametrize("text", WRONG)
def test_what_is_wrong_is_told_by_its_key(text: str) -> None:
    with pytest.raises(ProfileRefused) as raised:
        read(text, "login.toml")
    assert WRONG[text] in f"{raised.value}\n"
    assert raised.value.exit_code == 78


def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(ProfileRefused) as raised:
        read('[profile.a]\nkind = "x"\n[profile.b]\nsend = "y"', "login.toml")
    assert len(str(raised.value).splitlines()) == 7


def test_microsofts_library_adds_openid_by_itself() -> None:
    entra = read(MINIMAL + 'kind = "entra"\nscopes = ["api://kdb/login"]', "x")
    assert entra.profiles["corp"].scopes == ("api://kdb/login",)


def test_an_issuer_of_this_machine_may_be_without_tls_where_that_is_said() -> None:
    text = MINIMAL.replace("https://idp.example", "http://127.0.0.1:8080") + "insecure_http = true"
    assert read(text, "x").profiles["corp"].insecure_http


def test_there_are_at_most_64_profiles() -> None:
    text = "".join(MINIMAL.replace("corp]", f"p{number}]") for number in range(65))
    with pytest.raises(ProfileRefused, match="there are 65 profiles, must be at most 64"):
        read(text, "x")


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(ProfileRefused):
        assert read(text, "x").keep in {None, "keyring", "file", "none"}


def test_the_profile_asked_for_counts_then_the_environments_then_the_only_one() -> None:
    two = {"a": CORP, "b": CORP}
    assert chosen(two, "a", {"SESSIOND_PROFILE": "b"}) == "a"
    assert chosen(two, None, {"SESSIOND_PROFILE": "b"}) == "b"
    assert chosen({"a": CORP}, None, {}) == "a"
    assert chosen({"a": CORP, "default": CORP}, None, {}) == "default"


def test_without_one_that_counts_they_are_named() -> None:
    with pytest.raises(ProfileRefused, match="several profiles, a, b: say which with --profile"):
        chosen({"b": CORP, "a": CORP}, None, {"SESSIOND_PROFILE": ""})
    with pytest.raises(ProfileRefused, match=r"no profile corpp; did you mean corp\?"):
        chosen({"corp": CORP}, "corpp", {})
    with pytest.raises(ProfileRefused, match="no profile zzz: there are a, b"):
        chosen({"b": CORP, "a": CORP}, "zzz", {})
    with pytest.raises(ProfileRefused, match="no profile zzz, which SESSIOND_PROFILE names: there"):
        chosen({"b": CORP, "a": CORP}, None, {"SESSIOND_PROFILE": "zzz"})


OTHERS = {
    "issuer": "https://idp.example/other",
    "client_id": "other",
    "scopes": ("openid",),
    "audience": "x",
    "resource": "x",
}


def test_tokens_are_of_use_to_the_profile_that_asks_for_the_same() -> None:
    def like(**changed: object) -> Profile:
        return Profile(**{"issuer": CORP.issuer, "client_id": CORP.client_id, **changed})  # type: ignore[arg-type]

    assert made_for(CORP) == made_for(like(send="access", flow="device", user_claim="upn"))
    assert made_for(CORP) == made_for(like(scopes=tuple(reversed(CORP.scopes))))
    assert len({made_for(CORP), *(made_for(like(**{k: v})) for k, v in OTHERS.items())}) == 6


def test_a_file_that_is_wrong_all_over_does_not_fill_the_screen() -> None:
    with pytest.raises(ProfileRefused) as refused:
        read("".join(f"key{number} = 1\n" for number in range(5_000)), "x")
    assert str(refused.value).count("\n") == 20
