import json

import pytest
from sessiond_paseto.claims import read_claims

EXP = "2026-03-02T10:00:00Z"


def claims(**members: object) -> dict[str, object]:
    return read_claims(json.dumps({"exp": EXP, **members}).encode())


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-03-02T10:00:00Z", 1772445600.0),
        ("2026-03-02T12:30:00+02:30", 1772445600.0),
        ("2026-03-02T10:00:00.25Z", 1772445600.25),
        ("2026-03-02T10:00:00.123456789Z", 1772445600.123456),
        ("1969-12-31T23:59:59-00:00", -1.0),
    ],
)
def test_dates_are_seconds_since_1970_wherever_they_were_written(text: str, seconds: float) -> None:
    assert claims(exp=text)["exp"] == seconds


@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
@pytest.mark.parametrize(
    "value",
    [
        1772445600,
        None,
        "",
        "2026-03-02",
        "2026-03-02T10:00:00",
        "2026-03-02t10:00:00Z",
        "2026-03-02T10:00:00z",
        "2026-03-02 10:00:00Z",
        "2026-03-02T10:00Z",
        "2026-02-30T10:00:00Z",
        "2026-03-02T10:00:60Z",
        "2026-03-02T10:00:00+24:00",
        "2026-03-02T10:00:00Z ",
        "\u0662026-03-02T10:00:00Z",
    ],
)
def test_what_is_not_a_date_of_rfc_3339_is_refused(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"{name} is not a date"):
        claims(**{name: value})


def test_a_token_must_end() -> None:
    with pytest.raises(ValueError, match="exp is missing"):
        read_claims(b'{"sub":"a"}')


@pytest.mark.parametrize(
    "message",
    [b"", b"[]", b"5", b"{", b"\xff", b'{"exp":NaN}', b'{"a":1,"a":1}', b"[" * 100_000],
)
def test_what_is_not_a_strict_object_is_refused_and_not_shown(message: bytes) -> None:
    with pytest.raises(ValueError, match=r"^the message is n"):
        read_claims(message)


def test_other_claims_stay_as_they_are() -> None:
    assert claims(iat="2026-03-02T09:00:00Z", roles=["a"]) == {
        "exp": 1772445600.0,
        "iat": 1772442000.0,
        "roles": ["a"],
    }
