"""Which client can send how long a password."""

from sessiond_login.limits import DAEMON, LIMITS, sentences


def test_a_short_password_fits_everywhere() -> None:
    assert sentences(1_024) == []


def test_too_long_a_one_is_told_with_the_client_its_limit_and_what_to_do() -> None:
    told = sentences(2_310)
    assert (
        "this password has 2,310 characters: the password field of VS Code takes 2,048; "
        "use the KX.kdb-auth hook, which has no limit"
    ) in told
    assert [words for words in told if "PyKX" in words] == []


def test_what_is_only_known_to_work_is_not_called_an_end() -> None:
    tableau = [words for words in sentences(2_001) if "Tableau" in words]
    assert "is known to take 2,000, nobody has told of more" in tableau[0]


def test_a_colon_is_told_where_it_would_be_lost() -> None:
    assert [words.split(";")[0] for words in sentences(1_000, colon=True)] == [
        "this password has a colon: the password field of VS Code loses what follows one"
    ]


def test_what_the_daemon_refuses_no_client_can_send() -> None:
    assert len(sentences(DAEMON)) == len([x for x in LIMITS if x.longest in {1_024, 2_000, 2_048}])
    assert [DAEMON_WORDS in words for words in sentences(DAEMON + 1)] == [True]


def test_each_row_says_where_it_is_from_and_what_to_do_where_it_ends_early() -> None:
    assert all(limit.source for limit in LIMITS)
    assert all(limit.instead for limit in LIMITS if limit.longest and limit.longest < DAEMON)


def test_what_to_do_is_a_thing_to_use() -> None:
    told = [words for words in sentences(DAEMON, colon=True) if "; use " in words]
    assert len(told) == len([limit for limit in LIMITS if limit.instead])
    assert all(words.split("; use ")[1].startswith(("a ", "the ", "`")) for words in told)


DAEMON_WORDS = "sessiond takes 32,768"
