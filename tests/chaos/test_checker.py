"""The checker finds each thing that it is there to find, and nothing in a sound run."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.checker import violations
from tests.chaos.evidence import Event, Evidence, Live, Snapshot
from tests.chaos.leaks import leaks
from tests.chaos.terms import LEASE

S, U = "11111111-0000-4000-8000-000000000001", "strict0@contoso.test"
C = "22222222-0000-4000-8000-000000000002"
LOGIN, OPENED, REFRESHED, KILLED, RECONCILED, SEEN, BELIEVED, STOPPED = 2, 4, 5, 6, 8, 9, 10, 11
FIRST_LEASE, SECOND_LEASE = 100.0 + LEASE, 105.0 + LEASE


def event(sequence: int, kind: str, at: float, **facts: Any) -> Event:
    usual = {"session": S, "user": U, "issuer": "strict", "reason": ""}
    return Event(sequence=sequence, kind=kind, at=at, **usual | facts)


def sound() -> Evidence:
    """One login that is opened, refreshed, and outlives a kill."""
    q: dict[str, Any] = {"process": "q0"}
    s: dict[str, Any] = {**q, "session": S, "handle": 5}
    t: dict[str, Any] = {"user": U, "token": 0, "alone": False}
    told = {"event": "refreshed", "sequence": 2, "expires": SECOND_LEASE, "reason": ""}
    entries: list[dict[str, Any]] = [
        {"kind": "token", "issuer": "strict", "user": U, "token": 0},
        {"kind": "connecting", "user": U, "token": 0, "handle": 5, **q},
        {"kind": "login", "asked_at": 101.0, "expires": FIRST_LEASE, **t, **s},
        {"kind": "opening", **s},
        {"kind": "opened", **s},
        {"kind": "push", **s, **told},
        {"kind": "daemon-killed", "snapshot": 0},
        {"kind": "reconciling", "held": [S], **q},
        {"kind": "reconciled", "held": [S], "doomed": [], **q},
        {"kind": "sees", "sessions": {S: SECOND_LEASE}, **q},
        {"kind": "believes", "held": [S], **q},
        {"kind": "daemon-stopped", "snapshot": 1},
    ]
    events = [
        event(1, "session.opened", 103.5, expires_at=FIRST_LEASE),
        event(2, "session.refreshed", 104.5, expires_at=SECOND_LEASE),
    ]
    return Evidence(
        [{"n": n, "t": 100.0 + n, **entry} for n, entry in enumerate(entries)],
        [
            Snapshot(n, 100.0 + n, [], {S: Live("open", U, "strict", SECOND_LEASE)}, events, set())
            for n in (KILLED, STOPPED)
        ],
    )


def test_nothing_is_wrong_with_a_sound_run() -> None:
    assert violations(sound()) == []


def end(found: Evidence, kind: str, reason: str, *, at: float = 110.5) -> None:
    """Let the session end, in the last database."""
    last = found.snapshots[1]
    over = event(3, kind, at, reason=reason, expires_at=SECOND_LEASE)
    found.snapshots[1] = replace(last, sessions={}, events=[*last.events, over])
    found.entries[SEEN]["sessions"] = {}
    found.entries[BELIEVED]["held"] = []


def add(found: Evidence, n: int, kind: str, **facts: Any) -> None:
    """Note one more thing, just after entry `n`."""
    found.entries.append({"n": n + 0.5, "t": 100.5 + n, "kind": kind, **facts})


def change(found: Evidence, number: int, **members: Any) -> None:
    found.snapshots[number] = replace(found.snapshots[number], **members)


def lose_the_session(found: Evidence) -> None:
    change(found, 0, sessions={})


def lose_the_refresh(found: Evidence) -> None:
    change(found, 0, events=found.snapshots[0].events[:1])


def shorten_the_lease(found: Evidence) -> None:
    change(found, 1, sessions={S: Live("open", U, "strict", FIRST_LEASE)})


def use_a_sequence_again(found: Evidence) -> None:
    opened, refreshed = found.snapshots[0].events
    change(found, 1, events=[opened, replace(refreshed, at=110.0)])


def refresh_who_came_alone(found: Evidence) -> None:
    found.entries[LOGIN]["alone"] = True


def outlive_its_access_token(found: Evidence) -> None:
    refresh_who_came_alone(found)
    opened, refreshed = sound_events()
    renewed = replace(refreshed, kind="session.renewed")
    for number in (0, 1):
        change(found, number, events=[opened, renewed])
    del found.entries[REFRESHED]


def leave_a_gap(found: Evidence) -> None:
    change(found, 1, events=[replace(each, sequence=2 * each.sequence) for each in sound_events()])


def sound_events() -> list[Event]:
    return sound().snapshots[0].events


def live_after_the_end(found: Evidence) -> None:
    over = event(3, "session.expired", SECOND_LEASE, expires_at=SECOND_LEASE)
    change(found, 1, events=[*sound_events(), over])


def break_the_database(found: Evidence) -> None:
    change(found, 1, faults=["the grant is missing"])


def lose_an_unopened_login(found: Evidence) -> None:
    del found.entries[3:6]
    change(found, 0, sessions={}, events=[], t=103.5)
    change(found, 1, sessions={}, events=[])
    for entry in found.entries:
        entry.update({"held": [], "sessions": {}})


def push_twice(found: Evidence) -> None:
    found.entries.insert(KILLED, {**found.entries[REFRESHED], "n": REFRESHED + 0.5})


def see_it_too_late(found: Evidence) -> None:
    found.entries[SEEN]["t"] = SECOND_LEASE + 6.0


def come_back(found: Evidence) -> None:
    told: dict[str, Any] = {"event": "revoked", "session": S, "sequence": 0, "process": "q0"}
    found.entries.insert(SEEN, {"n": 8.5, "t": 108.5, "kind": "push", **told})


def believe_in_the_dead(found: Evidence) -> None:
    end(found, "session.closed", "lost")
    add(found, SEEN, "process-killed", process="q0")
    found.entries[BELIEVED]["held"] = [S]


def keep_what_had_ended(found: Evidence) -> None:
    end(found, "session.closed", "lost", at=106.8)


def end_without_reason(found: Evidence) -> None:
    end(found, "session.revoked", "refused")


def end_for_a_reason_of_others(found: Evidence) -> None:
    add(found, REFRESHED, "user-revoking", issuer="strict", user="strict1@contoso.test")
    end(found, "session.revoked", "refused")


def expire_too_early(found: Evidence) -> None:
    end(found, "session.expired", "expired", at=SECOND_LEASE - 1.0)


def lose_a_process_that_lives(found: Evidence) -> None:
    end(found, "session.closed", "lost")


def go_on_after_the_issuer_ended_it(found: Evidence) -> None:
    add(found, 2, "user-revoked", issuer="strict", user=U)


def lose_a_renewal(found: Evidence) -> None:
    add(found, OPENED, "renewed", session=S, expires=FIRST_LEASE, process="q0")


def stay_after_leaving(found: Evidence) -> None:
    add(found, OPENED, "left", session=S, handle=5, process="q0")


def survive_the_operator(found: Evidence) -> None:
    add(found, OPENED, "operator-revoked", session=S)


def come_in_by_revoked_tokens(found: Evidence) -> None:
    found.entries.insert(1, {"n": 0.5, "t": 100.5, "kind": "operator-revoked", "user": U})


def blame_the_operator(found: Evidence) -> None:
    end(found, "session.revoked", "operator")


def let_in(found: Evidence, session: str, n: int = OPENED, *, asked_at: float = 99.5) -> None:
    """Let a request in by the bearer that the session was logged in with."""
    shown = {"user": U, "token": 0, "alone": True, "handle": 0, "process": "q0"}
    add(found, n, "let-in", session=session, asked_at=asked_at, expires=FIRST_LEASE, **shown)


def lose_who_was_let_in(found: Evidence) -> None:
    let_in(found, C)


def let_in_who_was_revoked(found: Evidence) -> None:
    revoked_late(found)
    let_in(found, S, n=STOPPED, asked_at=111.6)


def revoked_late(found: Evidence) -> None:
    """Have a process told of an end that is in no database: `what_ended_stays_ended` is asked."""
    told: dict[str, Any] = {"event": "revoked", "session": S, "sequence": 0, "process": "q0"}
    add(found, STOPPED - 1, "push", **told)


def keep_who_was_let_in_over_the_operator(found: Evidence) -> None:
    let_in(found, S, n=KILLED)
    add(found, KILLED, "operator-revoked", session=S)


def make_two_sessions_of_a_bearer(found: Evidence) -> None:
    let_in(found, S)
    let_in(found, C)
    live = Live("web", U, "strict", FIRST_LEASE)
    change(found, 0, sessions={S: live, C: live})


def outlive_its_parent(found: Evidence) -> None:
    change(found, 1, sessions={C: Live("open", U, "strict", SECOND_LEASE, parent=S)})


def take_another_parent(found: Evidence) -> None:
    shown = {"user": U, "token": 0, "alone": True, "handle": 13, "process": "q0"}
    add(found, OPENED, "child", session=C, parent=S, **shown)
    change(found, 1, sessions={C: Live("open", U, "strict", SECOND_LEASE)})


def blame_a_parent(found: Evidence) -> None:
    end(found, "session.revoked", "parent")


def turn_away_who_lives(found: Evidence) -> None:
    add(found, REFRESHED, "turned-away", session=S)


def sign_out_who_did_not_ask(found: Evidence) -> None:
    end(found, "session.closed", "signout")


PLANTED: list[tuple[Callable[[Evidence], None], str]] = [
    (lose_the_session, "acknowledged_is_on_disk"),
    (lose_the_refresh, "acknowledged_is_on_disk"),
    (lose_a_renewal, "acknowledged_is_on_disk"),
    (stay_after_leaving, "acknowledged_is_on_disk"),
    (lose_an_unopened_login, "logins_wait_to_be_opened"),
    (shorten_the_lease, "leases_are_kept"),
    (refresh_who_came_alone, "who_came_alone_is_not_prolonged"),
    (outlive_its_access_token, "who_came_alone_is_not_prolonged"),
    (see_it_too_late, "leases_are_kept"),
    (use_a_sequence_again, "history_is_one"),
    (leave_a_gap, "history_is_one"),
    (live_after_the_end, "lives_are_lives"),
    (break_the_database, "databases_are_whole"),
    (keep_what_had_ended, "reconciling_is_right"),
    (push_twice, "pushes_are_in_order"),
    (come_back, "what_ended_stays_ended"),
    (survive_the_operator, "operators_are_obeyed"),
    (come_in_by_revoked_tokens, "operators_are_obeyed"),
    (lose_who_was_let_in, "acknowledged_is_on_disk"),
    (let_in_who_was_revoked, "what_ended_stays_ended"),
    (keep_who_was_let_in_over_the_operator, "operators_are_obeyed"),
    (make_two_sessions_of_a_bearer, "a_bearer_is_one_session"),
    (outlive_its_parent, "children_end_with_their_parents"),
    (take_another_parent, "children_end_with_their_parents"),
    (blame_a_parent, "unjustified"),
    (turn_away_who_lives, "who_lives_is_let_in"),
    (sign_out_who_did_not_ask, "unjustified"),
    (blame_the_operator, "unjustified"),
    (believe_in_the_dead, "beliefs_are_true"),
    (end_without_reason, "unjustified"),
    (end_for_a_reason_of_others, "unjustified"),
    (expire_too_early, "unjustified"),
    (lose_a_process_that_lives, "unjustified"),
    (go_on_after_the_issuer_ended_it, "unjustified"),
]


@pytest.mark.parametrize(("plant", "rule"), PLANTED, ids=[each.__name__ for each, _ in PLANTED])
def test_what_is_planted_is_found(plant: Callable[[Evidence], None], rule: str) -> None:
    found = sound()
    plant(found)
    assert rule in {line.split(":")[0] for line in violations(found)}


def revoke(found: Evidence) -> None:
    add(found, REFRESHED, "user-revoking", issuer="strict", user=U)
    end(found, "session.revoked", "refused")


def lose_the_answer_of_a_rotation(found: Evidence) -> None:
    change(found, 0, in_flight={("strict", U)})
    end(found, "session.revoked", "refused")


def refuse_by_a_fault(found: Evidence) -> None:
    add(found, REFRESHED, "fault", issuer="strict", refuses=True)
    end(found, "session.revoked", "refused")


def expire(found: Evidence) -> None:
    end(found, "session.expired", "expired", at=SECOND_LEASE)


def lose_a_killed_process(found: Evidence) -> None:
    add(found, KILLED, "process-killed", process="q0")
    end(found, "session.closed", "lost")


def leave(found: Evidence) -> None:
    add(found, SEEN, "leaving", session=S, handle=5, process="q0")
    end(found, "session.closed", "disconnect")


def replace_by_a_new_login(found: Evidence) -> None:
    add(found, SEEN, "connecting", user=U, token=0, handle=5, process="q0")
    end(found, "session.closed", "replaced")


def obey_the_operator(found: Evidence) -> None:
    add(found, SEEN, "operator-revoking", session=S)
    add(found, BELIEVED, "operator-revoked", session=S)
    end(found, "session.revoked", "operator")


def sign_out(found: Evidence) -> None:
    add(found, SEEN, "leaving", session=S, handle=0, process="q0")
    end(found, "session.closed", "signout")


def end_with_its_parent(found: Evidence) -> None:
    add(found, SEEN, "operator-revoking", session=S)
    end(found, "session.revoked", "operator")
    last = found.snapshots[1]
    shown = {"user": U, "token": 0, "alone": True, "handle": 13, "process": "q0"}
    add(found, OPENED, "child", session=C, parent=S, **shown)
    born = event(4, "session.opened", 110.5, session=C, expires_at=SECOND_LEASE)
    over = event(5, "session.revoked", 110.5, session=C, reason="parent", expires_at=SECOND_LEASE)
    found.snapshots[1] = replace(last, events=[*last.events, born, over])


def answer_after_the_end_what_was_asked_before(found: Evidence) -> None:
    revoked_late(found)
    found.entries.sort(key=lambda entry: float(entry["n"]))
    let_in(found, S, n=STOPPED)


def open_no_handle_under_it(found: Evidence) -> None:
    let_in(found, S, n=OPENED)
    told: dict[str, Any] = {
        "event": "revoked",
        "session": S,
        "sequence": 0,
        "reason": "unbound",
        "process": "q0",
    }
    found.entries.sort(key=lambda entry: float(entry["n"]))
    found.entries.insert(SEEN, {"n": 8.5, "t": 108.5, "kind": "push", **told})


ALLOWED = [
    answer_after_the_end_what_was_asked_before,
    open_no_handle_under_it,
    end_with_its_parent,
    sign_out,
    obey_the_operator,
    revoke,
    lose_the_answer_of_a_rotation,
    refuse_by_a_fault,
    expire,
    lose_a_killed_process,
    leave,
    replace_by_a_new_login,
]


@pytest.mark.parametrize("happen", ALLOWED, ids=[each.__name__ for each in ALLOWED])
def test_an_end_that_has_its_reason_is_right(happen: Callable[[Evidence], None]) -> None:
    found = sound()
    happen(found)
    assert violations(found) == []


def test_a_part_of_a_secret_is_found_wherever_it_stands(tmp_path: Path) -> None:
    secret = "".join(map(chr, range(33, 83)))
    clean, leaky = tmp_path / "clean.log", tmp_path / "leaky.log"
    clean.write_text("refreshed\n" * 100 + secret[5:20])
    leaky.write_text("refreshed\n" * 100 + secret[5:28])
    assert list(leaks([secret], [clean, leaky])) == ["leaky.log"]


def test_a_daemon_that_was_away_as_a_lease_ended_has_a_while_to_end_it() -> None:
    found = sound()
    see_it_too_late(found)
    add(found, RECONCILED, "daemon-started")
    found.entries[-1]["t"] = SECOND_LEASE + 5.5
    assert not [each for each in violations(found) if "leases_are_kept" in each]
