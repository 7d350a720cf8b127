"""What operators see of subscribers and do about what was set aside for them."""

from http import HTTPStatus

import structlog

from sessiond.control import bodies
from sessiond.control.problem import Problem
from sessiond.control.view import View
from sessiond.core.answering import kept_cursors
from sessiond.core.changes import ForgetSubscriber
from sessiond.system.peer import Peer

log = structlog.get_logger()


def statuses(view: View) -> list[bodies.SubscriberStatus]:
    """Return every subscriber as it stands."""
    return [bodies.SubscriberStatus.of(each) for each in view.subscribers.states()]


async def listed(view: View) -> bodies.Subscribers:
    """Return every subscriber, with the events that were set aside for it, and former ones."""
    kept = kept_cursors(await view.table.rows())
    set_aside: dict[str, list[bodies.SetAsideEvent]] = {}
    for each in kept.dead_letters:
        set_aside.setdefault(each.subscriber, []).append(bodies.SetAsideEvent.of(each))
    configured = statuses(view)
    names = {each.name for each in configured}
    return bodies.Subscribers(
        subscribers=[
            bodies.Subscriber(status=each, set_aside=set_aside.get(each.name, []))
            for each in configured
        ],
        former=[
            bodies.FormerSubscriber(
                name=each.subscriber,
                place=each.sequence,
                kept_at=each.at,
                set_aside=len(set_aside.get(each.subscriber, ())),
            )
            for each in kept.cursors
            if each.subscriber not in names
        ],
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


async def forget(view: View, name: str, peer: Peer) -> None:
    """Drop the place of a subscriber that is not configured any more.

    Raises:
        Problem: It is configured, or nothing is kept for it.
    """
    if any(each.name == name for each in view.subscribers.states()):
        raise Problem(HTTPStatus.CONFLICT, "it is configured: take its table out and reload first")
    if not await view.table.ask(ForgetSubscriber(subscriber=name)):
        raise Problem(HTTPStatus.NOT_FOUND, "nothing is kept for such a subscriber")
    log.warning("subscriber forgotten", uid=peer.uid, pid=peer.pid, subscriber=name)


def _unknown() -> Problem:
    return Problem(HTTPStatus.NOT_FOUND, "no such subscriber is configured")
