import pytest
from paseto_mint import Mint
from sessiond_paseto.keys import read_keys

ONE, OTHER = Mint(1), Mint(2)


def test_a_key_is_known_by_its_own_id_and_by_the_kid_beside_it() -> None:
    keys = read_keys(f"# old\n{ONE.line}  main\n\n{OTHER.line}\n")
    main = keys.by_kid["main"]
    assert keys.by_kid[main.id] is main
    assert len(keys.by_kid) == 3
    assert keys.holds(main.id)
    assert not keys.holds("k4.pid.none")
    assert keys.alone is None


def test_a_single_key_need_not_be_named() -> None:
    assert read_keys(ONE.line).alone is not None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "there is no key"),
        ("# nothing\n", "there is no key"),
        ("k4.secret.AAAA", "line 1 does not begin with k4.public."),
        (f"{ONE.line}\nk2.public.AAAA", "line 2 does not begin"),
        ("k4.public.AA==", "line 1: a part is not base64url"),
        ("k4.public.AAAA", "line 1 is a key of 3 bytes, must be 32"),
        (f"{ONE.line}\n{ONE.line}", "line 2 has a key or a kid that was there before"),
        (f"{ONE.line} a\n{OTHER.line} a", "line 2 has a key or a kid that was there before"),
        (f"{ONE.line} a b", "line 1 has more than a key and its kid"),
    ],
)
def test_a_wrong_line_is_named_and_not_shown(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem.replace(".", r"\.")) as raised:
        read_keys(text)
    assert "AA" not in str(raised.value)
