"""Whether programs come to the control socket, beside operators."""

from sessiond.config.tables import Config


def lets_programs_in(config: Config) -> bool:
    """Say whether somebody is let in there for tokens, who is not thereby a reader of all else."""
    exchangers = () if config.tickets is None else config.tickets.exchangers
    has_readers = any(each.readers for each in config.sources)
    return config.stores is not None or bool(exchangers) or has_readers
