"""Who may look at the control socket, where programs come there for tokens."""

from collections.abc import Iterator

from sessiond.config import Config
from sessiond.config.programs import lets_programs_in
from sessiond.ctl.doctor.finding import Finding, warning


def readers(config: Config) -> Iterator[Finding]:
    """Say who looks no more since programs are let in, while nobody is named."""
    if lets_programs_in(config) and not config.listen.control_readers:
        yield warning(
            "control readers",
            "where programs come for tokens ([stores], a source's readers, tickets.exchangers) an "
            "empty listen.control_readers is root and the daemon's own user alone",
            "name there who else looks: operators, and whoever fetches the metrics",
        )
