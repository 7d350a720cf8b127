"""What plugins are promised: these names, and events that come back from JSON as they were."""

from sessiond import api
from tests.fakes import START, opened_event


def test_the_names_that_plugins_may_import_are_these() -> None:
    assert sorted(api.__all__) == [
        "API_VERSION",
        "Access",
        "AccessRules",
        "BatchSubscriber",
        "Because",
        "Ceiling",
        "ConfigError",
        "Event",
        "Gap",
        "Granted",
        "IssuerAbout",
        "IssuerThrottled",
        "IssuerUnavailable",
        "Lease",
        "LocalGrant",
        "LoginRefused",
        "Operator",
        "OperatorAuthorized",
        "OperatorEvent",
        "OperatorForgave",
        "OperatorForgot",
        "OperatorReloaded",
        "OperatorRevoked",
        "Principal",
        "ProcessAbout",
        "Refusal",
        "RoleSource",
        "Secret",
        "SessionClosed",
        "SessionEvent",
        "SessionExpired",
        "SessionOpened",
        "SessionRefreshed",
        "SessionRenewed",
        "SessionRevoked",
        "SessionRolesChanged",
        "SettingsError",
        "SourceIssued",
        "Subscriber",
        "TokenRejected",
        "TrustedFile",
        "TrustedFileError",
        "TryLater",
        "UnusableAnswer",
        "Verdict",
        "Verifier",
        "access_at",
        "from_json",
        "settings_of",
        "to_json",
    ]


def test_every_one_of_them_is_there_and_says_what_it_is() -> None:
    for name in api.__all__:
        assert getattr(api, name).__doc__


def test_the_version_of_the_promise_is_1() -> None:
    assert api.API_VERSION == 1


def test_an_event_comes_back_from_json_as_it_was() -> None:
    gap = api.Gap(sequence=4, at=START, after=2, before=5)
    for event in (opened_event(3), gap):
        assert api.from_json(api.to_json(event)) == event
