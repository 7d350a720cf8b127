"""What processes that follow cost those who log in: none, one and fifty of them."""

import os
import select
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

from sessiond.qipc import call, dictionary
from sessiond.testing import FakeProcess
from tests.bench.bench import Bench, must_be_accepted
from tests.bench.figures import Row, medians, of_load
from tests.peers import PeerFarm
from tests.running_daemon import RunningDaemon

FOLLOWERS = (0, 1, 50)
LOGINS = 400  # a round, one after the other
ROUNDS = 3
FOLLOW = call("follow", dictionary({}))
ACCESS = f"""
[[access.process]]
name = "rdb*"
peers = [{os.getuid()}]
estate = true
"""


def measure(bench: Bench) -> Iterator[Row]:
    """Measure one login after the other beside so many that are told of each."""
    logins = bench.minted("followed", bench.few(LOGINS))
    with bench.fast_daemon(access=ACCESS) as daemon:
        for count in FOLLOWERS:
            with following(daemon, count):
                found = [
                    of_load(must_be_accepted(bench.load(daemon, [logins])))
                    for _ in range(bench.rounds(ROUNDS))
                ]
            what = {0: "nobody follows", 1: "one process follows"}
            yield Row(
                f"one login after the other, {what.get(count, f'{count} processes follow')}",
                medians(found),
                "each is told of it before its answer" if count else "",
            )


@contextmanager
def following(daemon: RunningDaemon, count: int) -> Iterator[None]:
    """Have so many processes follow, and read what they are told, meanwhile."""
    over = Event()
    with PeerFarm(daemon.address, count) as farm:
        processes = [FakeProcess(each) for each in farm.sockets]
        for number, each in enumerate(processes):
            each.hello(f"rdb{number}")
            each.sync(FOLLOW)
        reading = Thread(target=read, args=(processes, over))
        reading.start()
        try:
            yield
        finally:
            over.set()
            reading.join()


def read(processes: list[FakeProcess], over: Event) -> None:
    """Take whatever comes, of any of them, until it is over."""
    poll = select.poll()
    by_number = {each.fileno(): each for each in processes}
    for number in by_number:
        poll.register(number, select.POLLIN)
    while not over.is_set():
        for number, _ in poll.poll(50):
            by_number[number].socket.recv(1 << 16)
