"""What every plugin's entry point owes its settings."""

from collections.abc import Callable, Mapping
from typing import Any

from sessiond.api import ConfigError

UNKNOWN = "no_such_key"
CANARY = "a value that was put under the wrong key and may be secret"
NO_VALUE = [[{CANARY: [0]}]]  # of a type that no setting has


def check_settings(
    entry: Callable[..., Any], settings: Mapping[str, Any], **given: Any
) -> list[object]:
    """Check that an entry point takes good settings, and refuses others naming the key.

    Args:
        entry: The entry point.
        settings: Good ones, every key that it knows if possible.
        given: What sessiond itself gives it beside them, such as a verifier's `issuer`.

    Returns:
        What was made on the way from settings that are good; the first from all of them.

    Raises:
        AssertionError: It does not.
    """
    made = [entry(**settings, **given)]
    _refused(entry, {**settings, UNKNOWN: CANARY}, given, key=UNKNOWN)
    for key in settings:
        _refused(entry, {**settings, key: NO_VALUE}, given, key=key)
        left = {name: value for name, value in settings.items() if name != key}
        made += _tried(entry, left, given, key=key)
    return made


def _refused(
    entry: Callable[..., Any], settings: Mapping[str, Any], given: Mapping[str, Any], *, key: str
) -> None:
    if _tried(entry, settings, given, key=key):
        raise AssertionError(f"{key} is taken, whatever it is: use sessiond.api.settings_of")


def _tried(
    entry: Callable[..., Any], settings: Mapping[str, Any], given: Mapping[str, Any], *, key: str
) -> list[object]:
    try:
        return [entry(**settings, **given)]
    except ConfigError as error:
        if key not in str(error):
            raise AssertionError(f"{key} is refused without being named: {error}") from error
        if CANARY in str(error):
            raise AssertionError(f"{key}'s value is shown, and may be a secret") from error
        return []
    except Exception as error:
        raise AssertionError(
            f"without {key}, or with a wrong one, the entry point raises {type(error).__name__}: "
            "let it raise ConfigError, as sessiond.api.settings_of does"
        ) from error
