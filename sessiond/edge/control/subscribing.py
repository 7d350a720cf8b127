"""What operators see of subscribers and do about what was set aside for them."""

from http import HTTPStatus

import structlog

from sessiond.core.changes import ListPlaces
from sessiond.edge.control import bodies
from sessiond.edge.control.problem import Problem
from sessiond.edge.control.view import View
from sessiond.edge.peer import Peer

log = structlog.get_logger()


def statuses(view: View) -> list[bodies.SubscriberStatus]:
    """Return every subscriber as it stands."""
    return [bodies.SubscriberStatus.of(each) for each in view.subscribers.states()]


async def listed(view: View) -> bodies.Subscribers:
    """Return every subscriber, with the events that were set aside for it."""
    kept = await view.table.ask(ListPlaces())
    set_aside: dict[str, list[bodies.SetAsideEvent]] = {}
    for each in kept.set_aside:
        set_aside.setdefault(each.subscriber, []).append(bodies.SetAsideEvent.of(each))
    return bodies.Subscribers(
        subscribers=[
            bodies.Subscriber(status=each, set_aside=set_aside.get(each.name, []))
            for each in statuses(view)
        ]
    )


def retry(view: View, name: str, peer: Peer) -> bodies.SetAsideCount:
    """Send what was set aside once more.

    Raises:
        Problem: There is no such subscriber.
    """
    try:
        count = view.subscribers.retry(name)
    except KeyError:
        raise _unknown() from None
    log.warning(
        "set-aside events tried again", uid=peer.uid, pid=peer.pid, subscriber=name, events=count
    )
    return bodies.SetAsideCount(events=count)


async def drop(view: View, name: str, peer: Peer) -> bodies.SetAsideCount:
    """Give up what was set aside.

    Raises:
        Problem: There is no such subscriber.
    """
    try:
        count = await view.subscribers.drop(name)
    except KeyError:
        raise _unknown() from None
    log.warning(
        "set-aside events given up", uid=peer.uid, pid=peer.pid, subscriber=name, events=count
    )
    return bodies.SetAsideCount(events=count)


def _unknown() -> Problem:
    return Problem(HTTPStatus.NOT_FOUND, "no such subscriber is configured")
