from sessiond import api


def test_the_names_that_plugins_may_import_are_these() -> None:
    assert sorted(api.__all__) == [
        "IssuerThrottled",
        "IssuerUnavailable",
        "Lease",
        "Principal",
        "Refusal",
        "Secret",
        "TokenRejected",
        "Verdict",
        "Verifier",
    ]


def test_every_one_of_them_is_there_and_says_what_it_is() -> None:
    for name in api.__all__:
        assert getattr(api, name).__doc__
