"""What sessiond shares with q, Prometheus and readers, at one place however it was installed.

The Debian package brings these files itself; `sessiond install-units` puts the same ones there.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from sessiond.core.errors import ConfigError
from sessiond.whole_file import below, make_folder, write_whole

PLACE = "/usr/share/sessiond"
HOOK = f"{PLACE}/torq/sessiond.q"
EXAMPLE = f"{PLACE}/config.example.toml"
ISSUERS = f"{PLACE}/issuers.md"
MANUALS = "/usr/local/share/man"  # where man looks for what no package brought
PACKAGED = "/usr/share/man/man8/sessiond.8.gz"  # then a package did

# Where each folder's files stand in a checkout, and what of them is shared.
_SOURCES = {
    "": ("", ("config.example.toml",)),
    "torq": ("plugins/torq", ("*.q", "*.md")),
    "docs": ("docs", ("alerts.yml", "grafana-dashboard.json", "issuers.md")),
    "examples": ("docs/examples", ("*.sh",)),
    "man": ("docs/man", ("*.[158]",)),
}


@dataclass(frozen=True, slots=True)
class SharedFile:
    """A file to be."""

    path: Path
    content: bytes
    is_changed: bool  # from what is there

    @property
    def mode(self) -> int:
        return 0o755 if self.path.suffix == ".sh" else 0o644


def plan(root: Path) -> list[SharedFile]:
    """Return what is to be below `root`. Reads only. Raises as `below`."""
    has_manuals = below(root, PACKAGED).exists()
    return [
        SharedFile(path, content, _content(path) != content)
        for folder in _SOURCES
        if folder != "man" or not has_manuals
        for source in _source(folder)
        for path, content in [(_target(root, folder, source.name), source.read_bytes())]
    ]


def write(planned: Sequence[SharedFile]) -> None:
    """Write what differs, each file whole or not at all.

    Raises:
        ConfigError: One cannot be written.
    """
    for each in planned:
        if each.is_changed:
            try:
                make_folder(each.path.parent)
                write_whole(each.path, each.content, mode=each.mode)
            except OSError as error:
                raise ConfigError(
                    f"{each.path} cannot be written: {error.strerror}, wanted it there: run this "
                    "as root"
                ) from error


def told(planned: Iterable[SharedFile], root: Path, *, is_real: bool) -> Iterator[str]:
    """Yield what an operator is told, a line for each place."""
    for place in (PLACE, MANUALS):
        folder = below(root, place)
        ours = [each for each in planned if each.path.is_relative_to(folder)]
        changed = sum(each.is_changed for each in ours)
        if ours and not changed:
            yield f"# {folder}: as it should be"
        elif ours:
            yield f"# {folder}: {changed} files {'written' if is_real else 'to be written'}"


def _source(folder: str) -> list[Traversable]:
    packaged = resources.files("sessiond") / "share"
    in_checkout, patterns = _SOURCES[folder]
    checkout = Path(__file__).parents[1] / in_checkout
    place = packaged.joinpath(folder) if packaged.is_dir() else checkout
    return sorted(
        (
            each
            for each in place.iterdir()
            if each.is_file() and any(Path(each.name).match(pattern) for pattern in patterns)
        ),
        key=lambda each: each.name,
    )


def _target(root: Path, folder: str, name: str) -> Path:
    if folder == "man":
        return below(root, MANUALS) / f"man{name[-1]}" / name
    return below(root, PLACE) / ("" if folder == "docs" else folder) / name


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
