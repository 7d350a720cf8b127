"""A deadline counts from the first byte of its message."""

from sessiond.kdb.arrivals import Arrivals


def test_messages_of_one_chunk_began_with_it_and_later_ones_later() -> None:
    arrivals = Arrivals()
    arrivals.receive(30, 1.0, has_begun=False)
    arrivals.receive(10, 2.0, has_begun=False)
    assert [arrivals.began(size) for size in (10, 20, 10)] == [1.0, 1.0, 2.0]


def test_a_message_that_came_in_pieces_began_with_the_first() -> None:
    arrivals = Arrivals()
    arrivals.receive(15, 1.0, has_begun=False)  # one, and the half of another
    assert arrivals.began(10) == 1.0
    for moment in (2.0, 3.0, 4.0):
        arrivals.receive(1, moment, has_begun=True)
    assert len(arrivals._chunks) == 1  # however many bytes it comes in
    arrivals.receive(7, 5.0, has_begun=False)  # its end, and the next
    assert [arrivals.began(10), arrivals.began(5)] == [1.0, 5.0]
    arrivals.receive(5, 9.0, has_begun=False)
    assert arrivals.began(5) == 9.0
