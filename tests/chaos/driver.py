"""Does random things to a stage for a while, by one generator."""

import random
import time
from collections.abc import Callable
from uuid import UUID

from tests.chaos.browser import Browser
from tests.chaos.process import ChaosProcess
from tests.chaos.realm import Pair, Realm
from tests.chaos.sourced import SOURCES
from tests.chaos.stage import Stage

HANDLES = range(5, 13)
WEBSOCKETS = range(13, 17)  # their handles: nobody logs in on them
BURST = 12  # actions at most that a kill may find unanswered
LULL = 0.03  # seconds at most between two actions
WAITS = (0.0, 0.6, 1.5, 3.0)  # seconds that a program waits for a lock
AWAY = 1.5  # seconds that a process may let pass before it connects again
SETTLE = 3.0  # seconds at the end for the last pushes
FAULTS: list[tuple[str, str, dict[str, object]]] = [
    ("/token", "answer", {"status": 503}),
    ("/token", "answer", {"status": 429, "headers": {"Retry-After": "1"}}),
    ("/token", "answer", {"status": 500}),
    ("/token", "answer", {"status": 400, "body": {"error": "invalid_grant"}}),
    ("/token", "html", {}),
    ("/token", "empty", {}),
    ("/token", "drop", {}),
    ("/token", "hang", {}),
    ("/token", "delay", {"delay_ms": 800}),
    ("/keys", "answer", {"status": 503}),
    ("/keys", "hang", {}),
    ("/keys", "drop", {}),
]


class Driver:
    """Chooses, by `seed` alone, what happens next; how it turns out is the machine's."""

    def __init__(self, stage: Stage, seed: int) -> None:
        self._stage = stage
        self._random = random.Random(seed)
        self._away: dict[str, float] = {}  # since when a process is not connected
        self._small: dict[Callable[[], None], float] = {
            self._log_in: 30,
            self._request: 12,
            self._begin: 6,
            self._come_back: 12,
            self._look_at: 6,
            self._sign_out: 1.5,
            self._upgrade: 8,
            self._take_ticket: 12,
            self._spend_ticket: 13,
            self._ask_source: 6,
            self._sow: 0.8,
            self._revoke_seed: 0.2,
            self._use_store: 28,
            self._crash_program: 0.8,
            self._leave: 10,
            self._renew: 10,
            self._look: 3,
            self._kill_process: 0.7,
            self._drop: 0.7,
            self._come: 6,
            self._revoke: 0.6,
            self._disable: 0.5,
            self._revoke_session: 1.5,
            self._revoke_web_session: 1.5,
            self._revoke_user: 0.4,
            self._enable: 1.5,
            self._roles: 1,
            self._fault: 1.5,
            self._clear_faults: 1,
        }
        self._large: dict[Callable[[], None], float] = {
            self._kill_daemon: 1.2,
            stage.restart_daemon: 0.1,
            self._kill_issuer: 0.25,
            self._start_issuer: 0.6,
        }

    def drive(self, seconds: float) -> None:
        """Act for so long, then let everything come to rest and compare beliefs."""
        until = time.monotonic() + seconds
        actions = self._small | self._large
        while time.monotonic() < until:
            self._act(actions)
            self._stage.pump(self._random.random() * LULL)
            self._bring_back()
        self._settle()

    def _bring_back(self) -> None:
        """Let those who are away too long come, so that no session's grace is over."""
        now = time.monotonic()
        for process in self._stage.absent:
            if now - self._away.setdefault(process.name, now) > AWAY:
                process.come()
        for process in self._stage.present:
            self._away.pop(process.name, None)

    def _settle(self) -> None:
        stage = self._stage
        for realm in stage.realms:
            if realm.issuer is None:
                realm.start()
            realm.clear_faults()
        for process in stage.absent:
            process.come()
        self._let_programs_end()
        stage.pump(SETTLE)
        stage.kill_daemon()
        for process in stage.processes:
            process.come()
        stage.pump_until_answered()
        for process in stage.processes:
            process.look()
        for program in stage.programs:
            program.read()
        stage.pump_until_answered()
        stage.pump(1.0)
        for process in stage.processes:
            process.believe()
        for realm in stage.realms:
            realm.note_refreshes()
        assert stage.stop_daemon() == 0

    def _let_programs_end(self) -> None:
        """Have nobody wait for a lock any more."""
        for program in self._stage.programs:
            if program.is_waiting:
                program.crash()

    def _act(self, actions: dict[Callable[[], None], float]) -> None:
        (action,) = self._random.choices(list(actions), list(actions.values()))
        action()

    def _log_in(self) -> None:
        process, pair = self._process(), self._pair()
        if process is None or pair is None:
            return
        handle = self._random.choice(HANDLES)
        if handle in process.knocking:
            return
        process.log_in(
            pair.user if self._chance(0.97) else "mallory@contoso.test",
            pair.password(with_refresh=self._chance(0.8)),
            pair.number,
            handle,
            opens=self._chance(0.9),
        )

    def _request(self) -> None:
        process, pair = self._process(), self._pair()
        if process and pair:
            process.request(pair.user, pair.access, pair.number)

    def _begin(self) -> None:
        if process := self._process():
            process.begin(self._random.choice(self._stage.realms).name)

    def _come_back(self) -> None:
        """Let a browser come back that was sent to an issuer, or that waits there still."""
        process = self._process()
        if process is None or not process.begun:
            return
        browser = self._random.choice(process.begun)
        if not browser.target and not self._signs_in(browser):
            process.begun.remove(browser)
            return
        process.come_back(browser)

    def _signs_in(self, browser: Browser) -> bool:
        for realm in self._stage.realms:
            if realm.issuer and realm.name == browser.issuer:
                browser.user = self._random.choice(realm.users)
                if browser.user not in realm.disabled:
                    browser.token = realm.note_token(browser.user)
                    browser.target = realm.walk(browser.goes_to, browser.user)
        return bool(browser.target)

    def _look_at(self) -> None:
        process = self._process()
        if process and (known := self._browsers(process)):
            session = self._random.choice([*known])
            process.look_at(known[session], session)

    def _sign_out(self) -> None:
        process = self._process()
        if process and (known := self._browsers(process)):
            process.sign_out(self._random.choice([*known]))

    def _browsers(self, process: ChaosProcess) -> dict[UUID, Browser]:
        return {session: each.browser for session, each in process.let_in.items() if each.browser}

    def _upgrade(self) -> None:
        process = self._process()
        if process is None or not process.let_in:
            return
        taken = process.knocking.union(process.held)
        free = [handle for handle in WEBSOCKETS if handle not in taken]
        if free:
            process.upgrade(self._random.choice([*process.let_in]), self._random.choice(free))

    def _take_ticket(self) -> None:
        """Ask for a ticket of somebody who is in, now and then for nowhere."""
        process = self._process()
        if process is None:
            return
        sessions = [*(process.held[handle] for handle in process.settled), *process.let_in]
        if sessions:
            others = [each.name for each in self._stage.processes]
            audience = self._random.choice(others) if self._chance(0.95) else "hdb1"
            process.ask_ticket(self._random.choice(sessions), audience, self._stage.tickets)

    def _spend_ticket(self) -> None:
        """Bring a ticket: mostly a new one where it belongs, else any, again, or elsewhere."""
        tickets = self._stage.tickets
        if not tickets:
            return
        ticket = tickets[-1] if self._chance(0.6) else self._random.choice(tickets[-20:])
        there = [each for each in self._stage.present if each.name == ticket.audience]
        process = there[0] if there and self._chance(0.9) else self._process()
        handle = self._random.choice(HANDLES)
        if process is not None and handle not in process.knocking:
            process.log_in(
                ticket.user,
                ticket.password,
                ticket.token,
                handle,
                opens=self._chance(0.9),
                ticket=ticket,
            )

    def _ask_source(self) -> None:
        if process := self._process():
            process.ask_token(self._random.choice(SOURCES), self._stage.source_tokens)

    def _sow(self) -> None:
        if self._stage.realms[0].issuer is not None:
            self._stage.sow()

    def _revoke_seed(self) -> None:
        if self._stage.realms[0].issuer is not None:
            self._stage.seed.revoke()

    def _use_store(self) -> None:
        """Have a program do a step of what it does with its token store."""
        idle = [each for each in self._stage.programs if not each.is_waiting]
        if not idle:
            return
        program = self._random.choice(idle)
        if program.fence is None:
            step = self._random.choices(["read", "lock", "write"], [50, 45, 1])[0]
        else:
            steps = ["read", "write", "remove", "release"]
            step = self._random.choices(steps, [25, 50, 5, 20])[0]
        match step:
            case "read":
                program.read()
            case "lock":
                program.lock(self._random.choice(WAITS))
            case "release":
                program.release()
            case _:
                program.write(removes=step == "remove")

    def _crash_program(self) -> None:
        self._random.choice(self._stage.programs).crash()

    def _leave(self) -> None:
        process = self._process()
        if process and process.settled:
            process.leave(self._random.choice(process.settled))

    def _renew(self) -> None:
        process = self._process()
        if process is None or not process.settled:
            return
        handle = self._random.choice(process.settled)
        user = process.users[process.held[handle]]
        pair = self._pair(user)
        if pair is not None:
            password = pair.password(with_refresh=self._chance(0.7))
            process.renew(handle, password, pair.number, waits=self._chance(0.7))

    def _look(self) -> None:
        if process := self._process():
            process.look()

    def _kill_process(self) -> None:
        self._stage.kill_process(self._random.choice(self._stage.processes))

    def _drop(self) -> None:
        if process := self._process():
            process.drop()

    def _come(self) -> None:
        """Let somebody come who was away."""
        absent = self._stage.absent
        if absent:
            self._random.choice(absent).come()

    def _revoke(self) -> None:
        realm = self._realm()
        if realm and realm.enabled:
            realm.revoke(self._random.choice(realm.enabled))

    def _revoke_session(self) -> None:
        process = self._process()
        if process and process.settled:
            session = process.held[self._random.choice(process.settled)]
            self._stage.operator.revoke(session=str(session))

    def _revoke_web_session(self) -> None:
        process = self._process()
        if process and process.let_in:
            session = self._random.choice([*process.let_in])
            self._stage.operator.revoke(session=str(session))

    def _revoke_user(self) -> None:
        realm = self._random.choice(self._stage.realms)
        self._stage.operator.revoke(user=self._random.choice(realm.users))

    def _disable(self) -> None:
        realm = self._realm()
        if realm and realm.enabled:
            realm.disable(self._random.choice(realm.enabled))

    def _enable(self) -> None:
        realm = self._realm()
        if realm and realm.disabled:
            realm.enable(self._random.choice(sorted(realm.disabled)))

    def _roles(self) -> None:
        realm = self._realm()
        if realm and realm.enabled:
            roles = self._random.sample(["trader", "quant", "unknown"], self._random.randint(0, 3))
            realm.give_roles(self._random.choice(realm.enabled), roles)

    def _fault(self) -> None:
        if realm := self._realm():
            path, kind, members = self._random.choice(FAULTS)
            realm.fault(path, kind, count=self._random.randint(1, 3), **members)

    def _clear_faults(self) -> None:
        if realm := self._realm():
            realm.clear_faults()

    def _kill_daemon(self) -> None:
        for _ in range(self._random.randint(0, BURST)):
            self._act(self._small)
        self._stage.pump(self._random.random() * LULL)
        self._stage.kill_daemon()

    def _kill_issuer(self) -> None:
        if realm := self._realm():
            realm.kill()

    def _start_issuer(self) -> None:
        for realm in self._stage.realms:
            if realm.issuer is None:
                realm.start()

    def _process(self) -> ChaosProcess | None:
        """Return a connected process, if there is one."""
        present = self._stage.present
        return self._random.choice(present) if present else None

    def _realm(self) -> Realm | None:
        """Return a realm whose issuer is up, or by chance None."""
        realm = self._random.choice(self._stage.realms)
        return realm if realm.issuer is not None else None

    def _pair(self, user: str = "") -> Pair | None:
        """Return tokens of a user, half of the time ones that were brought before."""
        realms = [each for each in self._stage.realms if each.issuer is not None]
        users = [user] if user else [name for realm in realms for name in realm.users]
        if not users:
            return None
        user = self._random.choice(users)
        for realm in realms:
            if user not in realm.users:
                continue
            known = [pair for pair in realm.pairs if pair.user == user]
            if known and self._chance(0.6):
                return known[0]
            if user not in realm.disabled:
                return realm.fetch(user)
        return None

    def _chance(self, likelihood: float) -> bool:
        return self._random.random() < likelihood
