"""What a configuration needs of packages that are not always installed."""

from importlib.util import find_spec

from sessiond.config import Config
from sessiond.core.errors import ConfigError


def check_extras(config: Config) -> None:
    """Look for them without importing any.

    Raises:
        ConfigError: One is missing; it says which extra brings it.
    """
    named = next((each.name for each in config.issuers if each.web is not None), None)
    if named is not None and find_spec("jinja2") is None:
        raise ConfigError(
            f"issuer[{named}].web is set, but jinja2 is not installed, wanted the extra `web`: "
            "install .ci/pins/web.txt, as step 2 of docs/web.md shows"
        )
