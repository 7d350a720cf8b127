"""kdb+'s three names for a port: bound, taken over, or found held by somebody else."""

import os
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from sessiond.core.errors import AddressInUseError, ConfigError
from sessiond.kdb.addresses import Addresses, listening, shown
from sessiond.system import socket_file

NOTHING: frozenset[bytes] = frozenset()

HOLD = """
import socket, sys
held = socket.socket(socket.AF_UNIX, socket.{kind})
held.bind(bytes.fromhex(sys.argv[1]))
{then}
print(flush=True)
input()
"""


@pytest.fixture
def planting(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """A function that has whatever is bound from then on replaced by a link, by a neighbour."""

    def plant(target: Path) -> None:
        class Robbed(socket.socket):
            def bind(self, address: bytes | str) -> None:  # type: ignore[override]
                super().bind(address)
                if (path := os.fsencode(address)).startswith(b"/"):
                    Path(os.fsdecode(path)).unlink()
                    Path(os.fsdecode(path)).symlink_to(target)

        monkeypatch.setattr(socket, "socket", Robbed)

    return plant


@pytest.fixture
def here(tmp_path: Path) -> Addresses:
    return Addresses(str(tmp_path), 5099, True)


@contextmanager
def listening_on(
    addresses: Addresses,
    *passed: socket.socket,
    others: frozenset[bytes] = NOTHING,
) -> Iterator[list[socket.socket]]:
    with ExitStack() as stack:
        yield [stack.enter_context(each) for each in listening(addresses, passed, others=others)]


@contextmanager
def holder(address: bytes, *, kind: str = "SOCK_STREAM", listens: bool = True) -> Iterator[int]:
    """Have another process hold an address; yield its pid."""
    program = HOLD.format(kind=kind, then="held.listen()" if listens else "")
    with subprocess.Popen(
        [sys.executable, "-c", program, address.hex()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process.pid
        process.communicate(b"\n")


@contextmanager
def passed_at(address: bytes) -> Iterator[socket.socket]:
    """Yield a listening socket, as systemd would pass one."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(address)
        listener.listen()
        yield listener


def leave_behind(path: str) -> None:
    """Leave a socket file at a path that nobody listens on any more."""
    with passed_at(path.encode()):
        pass
    assert Path(path).is_socket()


def can_connect(address: bytes) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        try:
            client.connect(address)
        except ConnectionRefusedError:
            return False
        return True


def test_a_port_has_an_exact_a_padded_and_a_path_name() -> None:
    exact, padded, path = Addresses("/run/kx", 5099, True)
    assert exact == b"\0/run/kx/kx.5099"
    assert padded == exact + bytes(108 - len(exact))
    assert path == b"/run/kx/kx.5099"


def test_without_a_path_there_are_only_the_abstract_names() -> None:
    assert [name[:1] for name in Addresses("/tmp", 5099, False)] == [b"\0", b"\0"]


@pytest.mark.parametrize(
    ("directory", "path"), [("/tmp/", "/tmp/kx.7"), ("/", "/kx.7"), ("q", "q/kx.7")]
)
def test_a_directory_may_end_in_a_slash(directory: str, path: str) -> None:
    assert Addresses(directory, 7, True).path == path


@pytest.mark.parametrize(
    ("address", "text"),
    [
        (b"\0/tmp/kx.7", "@/tmp/kx.7"),
        (b"\0/tmp/kx.7".ljust(108, b"\0"), "@/tmp/kx.7"),
        (b"/tmp/kx.7", "/tmp/kx.7"),
    ],
)
def test_an_address_is_shown_as_other_tools_show_it(address: bytes, text: str) -> None:
    assert shown(address) == text


def test_every_name_is_bound_and_listening(here: Addresses) -> None:
    with listening_on(here) as sockets:
        assert [each.getsockname() for each in sockets] == [*list(here)[:2], here.path]
        assert all(can_connect(address) for address in here)


def test_without_a_path_no_file_is_made(tmp_path: Path) -> None:
    with listening_on(Addresses(str(tmp_path), 5099, False)) as sockets:
        assert len(sockets) == 2
        assert list(tmp_path.iterdir()) == []


def test_anybody_may_open_the_path_whatever_the_umask(here: Addresses) -> None:
    before = os.umask(0o077)
    try:
        with listening_on(here):
            assert stat.S_IMODE(Path(here.path).stat().st_mode) == 0o666
    finally:
        os.umask(before)


def test_a_path_that_was_left_behind_is_taken_over(here: Addresses) -> None:
    leave_behind(here.path)
    assert not can_connect(here.path.encode())
    with listening_on(here):
        assert can_connect(here.path.encode())


@pytest.mark.parametrize("which", [0, 1, 2])
def test_whoever_holds_a_name_is_named(here: Addresses, which: int) -> None:
    address = list(here)[which]
    with holder(address) as pid:
        with pytest.raises(AddressInUseError) as caught:
            listening(here, [], others=NOTHING)
        assert can_connect(address)
    assert str(caught.value) == (
        f"listen.port: {shown(address)} is held by process {pid} of user {os.geteuid()}, wanted it "
        "free: stop that process, or take another port"
    )


def test_a_name_that_is_bound_but_not_listened_on_is_in_use(here: Addresses) -> None:
    with (
        holder(next(iter(here)), listens=False),
        pytest.raises(AddressInUseError, match="is in use"),
    ):
        listening(here, [], others=NOTHING)


def test_a_socket_of_another_kind_is_left_alone(here: Addresses) -> None:
    with (
        holder(here.path.encode(), kind="SOCK_DGRAM", listens=False),
        pytest.raises(AddressInUseError, match="wrong type"),
    ):
        listening(here, [], others=NOTHING)
    assert Path(here.path).is_socket()


def test_a_holder_that_accepts_nobody_is_not_waited_for(here: Addresses) -> None:
    with passed_at(here.path.encode()) as busy, ExitStack() as clients:
        busy.listen(0)
        for _ in range(2):  # one connection waits, there is room for no other
            client = clients.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            client.setblocking(False)
            with suppress(BlockingIOError):
                client.connect(here.path)
        with pytest.raises(AddressInUseError, match="temporarily unavailable"):
            listening(here, [], others=NOTHING)


def test_a_file_that_is_no_socket_is_left_alone(here: Addresses) -> None:
    Path(here.path).write_text("somebody's work")
    with pytest.raises(AddressInUseError, match="is no socket"):
        listening(here, [], others=NOTHING)
    assert Path(here.path).read_text() == "somebody's work"


def test_a_path_that_vanishes_while_it_is_looked_at_is_bound(
    here: Addresses, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_behind(here.path)

    def lose(path: str) -> None:
        Path(path).unlink()
        remove(path)

    remove = socket_file.remove
    monkeypatch.setattr(socket_file, "remove", lose)
    with listening_on(here):
        assert can_connect(here.path.encode())


def test_a_link_at_the_path_is_neither_followed_nor_removed(here: Addresses) -> None:
    with passed_at(f"{here.directory}/somebody".encode()) as somebody:
        Path(here.path).symlink_to(f"{here.directory}/somebody")
        with pytest.raises(AddressInUseError, match=r"listen\.port: .*kx\.5099 is no socket"):
            listening(here, [], others=NOTHING)
        somebody.setblocking(False)
        with pytest.raises(BlockingIOError):
            somebody.accept()
    assert Path(here.path).is_symlink()


def test_a_link_that_takes_the_sockets_place_opens_nothing_to_others(
    here: Addresses, tmp_path: Path, planting: Callable[[Path], None]
) -> None:
    secret = tmp_path / "secret"
    secret.touch(0o600)
    planting(secret)
    with listening_on(here):
        assert Path(here.path).is_symlink()
        assert stat.S_IMODE(secret.stat().st_mode) == 0o600


def test_a_refused_start_leaves_no_name_bound(here: Addresses) -> None:
    exact, padded, path = here
    with holder(path), pytest.raises(AddressInUseError):
        listening(here, [], others=NOTHING)
    assert not can_connect(exact)
    assert not can_connect(padded)


def test_a_directory_that_is_not_there_is_the_operators_mistake(tmp_path: Path) -> None:
    addresses = Addresses(str(tmp_path / "nowhere"), 5099, True)
    with pytest.raises(ConfigError, match=r"nowhere/kx\.5099: No such file"):
        listening(addresses, [], others=NOTHING)
    assert not can_connect(next(iter(addresses)))


def test_the_longest_path_has_one_abstract_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = "d" * (107 - len("/kx.5099"))
    Path(folder).mkdir()
    with listening_on(Addresses(folder, 5099, True)) as sockets:
        assert [len(os.fsencode(each.getsockname())) for each in sockets] == [108, 107]


def test_a_longer_path_is_the_operators_mistake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = "d" * (108 - len("/kx.5099"))
    Path(folder).mkdir()
    with pytest.raises(ConfigError, match="too long"):
        listening(Addresses(folder, 5099, True), [], others=NOTHING)


def test_passed_sockets_are_told_apart_by_their_addresses(here: Addresses) -> None:
    exact, padded, path = here
    with (
        passed_at(path) as passed_path,
        passed_at(exact) as passed_exact,
        listening_on(here, passed_path, passed_exact) as sockets,
    ):
        assert passed_path in sockets
        assert passed_exact in sockets
        assert {os.fsencode(each.getsockname()) for each in sockets} == {exact, padded, path}
        assert can_connect(padded)


def test_a_passed_socket_that_is_not_configured_is_the_operators_mistake(here: Addresses) -> None:
    unknown = b"\0" + here.path.replace("5099", "5098").encode()
    with (
        passed_at(unknown) as passed,
        pytest.raises(ConfigError, match=r"passed @.*/kx\.5098, which is not configured") as error,
    ):
        listening(here, [passed], others=NOTHING)
    assert f"wanted @{here.path}, @{here.path}, {here.path}" in str(error.value)


def test_a_passed_socket_of_another_part_is_left_to_it(here: Addresses, tmp_path: Path) -> None:
    control = str(tmp_path / "control.sock").encode()
    with (
        passed_at(control) as passed,
        listening_on(here, passed, others=frozenset({control})) as sockets,
    ):
        assert passed not in sockets
        assert len(sockets) == 3
        assert can_connect(control)
