"""The checker finds what may not happen to tickets, source tokens and token stores."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.chaos.checker import violations
from tests.chaos.evidence import Event, Evidence, Live, Snapshot

P, C, D = (f"{n * 8}-0000-4000-8000-000000000001" for n in "123")
U = "strict0@contoso.test"
Entries = list[dict[str, Any]]
STORE = {"context": "c", "name": "oauth"}
SPENT, TAKEN, WRITTEN, READ, RELEASED, DEAD, GIVEN = 9, 11, 13, 15, 17, 18, 20


def sound() -> Evidence:
    """Somebody goes on by a ticket, a store is written and read, a feed gets a token; one death."""
    q, born = {"process": "q0"}, {"user": U, "token": 0, "alone": False}
    asked: Entries = [
        {"kind": "token", "issuer": "strict", "user": U, "token": 0},
        {"kind": "connecting", "user": U, "token": 0, "handle": 5, **q},
        {
            "kind": "login",
            "asked_at": 101.0,
            "expires": 112.0,
            "session": P,
            "handle": 5,
            **born,
            **q,
        },
        {"kind": "opening", "session": P, "handle": 5, **q},
        {"kind": "opened", "session": P, "handle": 5, **q},
        {"kind": "ticket-asking", "parent": P, "audience": "q1", **q},
        {"kind": "ticket", "parent": P, "audience": "q1", "jti": "j", "expires": 108.0, **q},
    ]
    asked[-1]["asked_n"] = 5
    spent = {"jti": "j", "parent": P, "asked_n": 8, "asked_at": 107.5, "expires": 112.0}
    asked += [
        {"kind": "nothing"},
        {"kind": "connecting", "user": U, "token": 0, "handle": 6, "process": "q1"},
        {"kind": "login", "session": C, "handle": 6, **born, **spent, "process": "q1"},
        {"kind": "store-locking", "wait": 1.0, **STORE},
        {
            "kind": "store-locked",
            "fence": 7,
            "wait": 1.0,
            "asked_at": 110.0,
            "asked_n": 10,
            **STORE,
        },
        {"kind": "store-writing", "fence": 7, "value": "v1", "size": 101, **STORE},
        {"kind": "store-written", "fence": 7, "asked_at": 112.0, "asked_n": 12, **STORE},
        {"kind": "store-reading", **STORE},
        {"kind": "store-read", "value": "v1", "is_whole": True, "asked_n": 14, **STORE},
        {"kind": "store-releasing", "fence": 7, **STORE},
        {"kind": "store-released", "fence": 7, **STORE},
        {"kind": "daemon-killed", "snapshot": 0},
        {"kind": "token-asking", "source": "quotes", **q},
        {"kind": "source-token", "source": "quotes", "asked_at": 119.0, "expires": 130.0, **q},
        {
            "kind": "refresh-came",
            "source": "quotes",
            "digest": "d",
            "at": 119.5,
            "error": "",
            "took": 0.01,
        },
        {"kind": "daemon-stopped", "snapshot": 1},
    ]
    opened: dict[str, Any] = {"user": U, "issuer": "strict", "reason": "", "expires_at": 112.0}
    events = [
        Event(sequence=1, kind="session.opened", at=103.5, session=P, **opened),
        Event(sequence=2, kind="session.opened", at=109.5, session=C, **opened),
    ]
    issued = Event(3, "source.issued", 119.5, "", "", "", "", None, process="q0", source="quotes")
    roles = frozenset({"trading", "research"})
    live = {
        P: Live("open", U, "strict", 112.0, roles=roles),
        C: Live("open", U, "strict", 112.0, parent=P, hops=1, roles=roles),
    }
    first = Snapshot(DEAD, 118.0, [], live, events, set(), {"j": C}, values={("c", "oauth"): 101})
    last = replace(first, n=22, t=122.0, events=[*events, issued], tickets={})
    return Evidence(
        [{"n": n, "t": 100.0 + n, **each} for n, each in enumerate(asked)], [first, last]
    )


def test_nothing_is_wrong_with_a_sound_run() -> None:
    assert violations(sound()) == []


def add(found: Evidence, n: float, kind: str, **facts: Any) -> None:
    """Note one more thing, just after entry `n`."""
    found.entries.append({"n": n + 0.5, "t": 100.5 + n, "kind": kind, **facts})
    found.entries.sort(key=lambda entry: float(entry["n"]))


def change(found: Evidence, number: int, **members: Any) -> None:
    found.snapshots[number] = replace(found.snapshots[number], **members)


def at(found: Evidence, number: int) -> dict[str, Any]:
    return next(entry for entry in found.entries if entry["n"] == number)


def spend_it_twice(found: Evidence) -> None:
    again = {**at(found, SPENT), "session": D}
    found.entries.append({**again, "n": SPENT + 0.5})


def spend_what_another_database_says_is_anothers(found: Evidence) -> None:
    change(found, 0, tickets={"j": D})


def spend_it_elsewhere(found: Evidence) -> None:
    at(found, SPENT)["process"] = "q2"


def spend_it_too_late(found: Evidence) -> None:
    at(found, SPENT)["asked_at"] = 108.5


def give_a_ticket_for_too_long(found: Evidence) -> None:
    at(found, 6)["expires"] = 111.0


def forget_that_it_was_spent(found: Evidence) -> None:
    change(found, 0, tickets={}, t=107.9)


def outlive_the_first_session(found: Evidence) -> None:
    add(found, SPENT, "left", session=P, handle=5, process="q0")


def outlive_a_revocation(found: Evidence) -> None:
    add(found, SPENT, "push", event="revoked", session=P, sequence=0, process="q0")


def come_by_one_that_is_over(found: Evidence) -> None:
    add(found, 6, "operator-revoked", session=P)


def give_a_ticket_of_one_that_is_over(found: Evidence) -> None:
    add(found, 4, "left", session=P, handle=5, process="q0")


def have_a_lease_of_its_own(found: Evidence) -> None:
    live = found.snapshots[1].sessions
    change(found, 1, sessions={**live, C: replace(live[C], expires_at=114.0)})


def have_a_role_of_its_own(found: Evidence) -> None:
    live = found.snapshots[1].sessions
    change(found, 1, sessions={**live, P: replace(live[P], roles=frozenset({"trading"}))})


def be_farther_from_the_sign_in(found: Evidence) -> None:
    live = found.snapshots[1].sessions
    change(found, 1, sessions={**live, C: replace(live[C], hops=2)})


def give_a_ticket_to_one_that_came_by_one(found: Evidence) -> None:
    facts = {"parent": C, "jti": "k", "audience": "q2", "process": "q1", "asked_n": 9}
    add(found, SPENT, "ticket", expires=111.0, **facts)


def lose_a_value(found: Evidence) -> None:
    change(found, 0, values={})


def bring_an_old_value_back(found: Evidence) -> None:
    lock(found, RELEASED, 8)
    write(found, RELEASED + 0.2, 8, "v2", 102)


def read_what_was_overwritten(found: Evidence) -> None:
    bring_an_old_value_back(found)
    for number in (0, 1):
        change(found, number, values={("c", "oauth"): 102})
    add(found, DEAD, "store-read", value="v1", is_whole=True, asked_n=DEAD + 0.2, **STORE)


def read_half_a_value(found: Evidence) -> None:
    at(found, READ)["is_whole"] = False


def write_by_no_fence(found: Evidence) -> None:
    at(found, WRITTEN)["fence"] = 6


def write_after_a_takeover(found: Evidence) -> None:
    lock(found, TAKEN, 8)


def write_after_a_release(found: Evidence) -> None:
    at(found, WRITTEN)["asked_n"] = RELEASED + 0.5


def write_by_a_fence_of_an_earlier_daemon(found: Evidence) -> None:
    at(found, RELEASED)["fence"] = 99
    at(found, WRITTEN)["asked_n"] = DEAD + 0.5


def give_a_fence_again(found: Evidence) -> None:
    lock(found, DEAD, 7)


def take_it_from_a_holder_who_goes_on(found: Evidence) -> None:
    lock(found, WRITTEN, 8)


def give_a_token_that_is_over(found: Evidence) -> None:
    at(found, GIVEN)["expires"] = 118.0


def spend_a_refresh_token_twice(found: Evidence) -> None:
    came = {"source": "quotes", "digest": "d", "at": 120.5, "error": "", "took": 0.01}
    add(found, GIVEN, "refresh-came", **came)


def write_nothing_down(found: Evidence) -> None:
    change(found, 1, events=found.snapshots[0].events)


def lock(found: Evidence, n: float, fence: int, *, wait: float = 5.0) -> None:
    when = {"asked_at": 100.0 + n, "asked_n": n}
    add(found, n, "store-locked", fence=fence, wait=wait, **when, **STORE)


def write(found: Evidence, n: float, fence: int, value: str, size: int) -> None:
    add(found, n, "store-writing", fence=fence, value=value, size=size, **STORE)
    asked = n + 0.5
    add(found, n + 0.1, "store-written", fence=fence, asked_at=100.0, asked_n=asked, **STORE)


PLANTED: list[tuple[Callable[[Evidence], None], str]] = [
    (spend_it_twice, "a_ticket_opens_one_session"),
    (spend_what_another_database_says_is_anothers, "a_ticket_opens_one_session"),
    (spend_it_elsewhere, "a_ticket_is_for_one_place_and_a_short_time"),
    (spend_it_too_late, "a_ticket_is_for_one_place_and_a_short_time"),
    (give_a_ticket_for_too_long, "a_ticket_is_for_one_place_and_a_short_time"),
    (forget_that_it_was_spent, "what_was_spent_stays_spent"),
    (outlive_the_first_session, "children_go_with_their_parents"),
    (outlive_a_revocation, "children_go_with_their_parents"),
    (come_by_one_that_is_over, "children_go_with_their_parents"),
    (give_a_ticket_of_one_that_is_over, "children_go_with_their_parents"),
    (have_a_lease_of_its_own, "children_are_no_more_than_their_parents"),
    (have_a_role_of_its_own, "children_are_no_more_than_their_parents"),
    (be_farther_from_the_sign_in, "children_are_no_more_than_their_parents"),
    (give_a_ticket_to_one_that_came_by_one, "tickets_beget_no_tickets"),
    (lose_a_value, "stored_values_are_kept"),
    (bring_an_old_value_back, "stored_values_are_kept"),
    (read_what_was_overwritten, "reads_see_whole_and_newest_values"),
    (read_half_a_value, "reads_see_whole_and_newest_values"),
    (write_by_no_fence, "dead_fences_never_write"),
    (write_after_a_takeover, "dead_fences_never_write"),
    (write_after_a_release, "dead_fences_never_write"),
    (write_by_a_fence_of_an_earlier_daemon, "dead_fences_never_write"),
    (give_a_fence_again, "fences_only_grow"),
    (take_it_from_a_holder_who_goes_on, "one_at_a_time_holds_a_store"),
    (give_a_token_that_is_over, "source_tokens_are_good"),
    (spend_a_refresh_token_twice, "source_refresh_tokens_are_spent_once"),
    (write_nothing_down, "who_asked_for_a_source_is_written_down"),
]


@pytest.mark.parametrize(("plant", "rule"), PLANTED, ids=[each.__name__ for each, _ in PLANTED])
def test_what_is_planted_is_found(plant: Callable[[Evidence], None], rule: str) -> None:
    found = sound()
    plant(found)
    assert rule in {line.split(":")[0] for line in violations(found)}


def repeat_the_handshake(found: Evidence) -> None:
    found.entries.append({**at(found, SPENT), "n": SPENT + 0.5})


def lose_an_answer_on_its_way(found: Evidence) -> None:
    at(found, 21)["took"] = None
    spend_a_refresh_token_twice(found)


def answer_when_nobody_waits(found: Evidence) -> None:
    at(found, 21)["took"] = 1.6
    spend_a_refresh_token_twice(found)


def die_with_a_token_in_flight(found: Evidence) -> None:
    change(found, 0, sources_in_flight=frozenset({"quotes"}))
    at(found, 21)["at"] = 117.0
    came = {"source": "quotes", "digest": "d", "at": 120.5, "error": "", "took": 0.01}
    add(found, GIVEN, "refresh-came", **came)


def write_what_nobody_is_told_of(found: Evidence) -> None:
    lock(found, RELEASED, 8)
    add(found, RELEASED + 0.2, "store-writing", fence=8, value="v2", size=102, **STORE)
    change(found, 1, values={("c", "oauth"): 102})


def take_a_stale_lock_over(found: Evidence) -> None:
    del found.entries[16:18]  # the release
    lock(found, DEAD - 1, 8, wait=1.0)


ALLOWED = [
    repeat_the_handshake,
    lose_an_answer_on_its_way,
    answer_when_nobody_waits,
    die_with_a_token_in_flight,
    write_what_nobody_is_told_of,
    take_a_stale_lock_over,
]


@pytest.mark.parametrize("happen", ALLOWED, ids=[each.__name__ for each in ALLOWED])
def test_what_may_happen_is_right(happen: Callable[[Evidence], None]) -> None:
    found = sound()
    happen(found)
    assert violations(found) == []
