"""Attacks on data sources: a hostile issuer costs its own source, and no token leaks."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from sessiond.testing import FakeProcess
from tests.integration.conftest import Start
from tests.integration.hostile_endpoint import ANSWERS, HostileEndpoint, hostile_endpoint
from tests.integration.operating import Operator
from tests.integration.sourced import asking, given, refused, source, with_sources
from tests.integration.test_login import pair
from tests.integration.test_sources import users
from tests.issuer.running import ALICE, BOB, RunningIssuer

DEADLINE = "deadline = 1.0"
HERE = {"redirect_uri": "http://127.0.0.1:1/"}


def hostile(endpoint: HostileEndpoint, name: str, **keys: Any) -> str:
    url = f"http://127.0.0.1:{endpoint.port}/{name}"
    return source(name, issuer=None, token_endpoint=url, insecure_http=True, **keys)


def told(process: FakeProcess, name: str) -> str | None:
    answer = process.token(name)
    return None if answer["ok"] else str(answer["reason"])


def memory(pid: int) -> int:
    """Return the most that a process ever had, in KiB (proc(5), VmHWM)."""
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in status if line.startswith("VmHWM")).split()[1])


def test_whatever_a_hostile_issuer_answers_costs_its_own_source_alone(
    strict_issuer: RunningIssuer, start: Start, folder: Path
) -> None:
    with hostile_endpoint() as endpoint:
        sources = [hostile(endpoint, name) for name in ANSWERS]
        daemon = start(
            with_sources(
                strict_issuer, folder, source(), *sources, login=DEADLINE, refresh="timeout = 2.0"
            )
        )
        names = ["feed0", *(f"feed{name}" for name in ANSWERS)]
        with asking(daemon, *names) as (feed, *feeds), ThreadPoolExecutor(len(feeds)) as threads:
            before = memory(daemon.pid)
            answers = {
                name: threads.submit(told, each, name)
                for name, each in zip(ANSWERS, feeds, strict=True)
            }
            given(feed)
            assert feed.log_in(ALICE, pair(strict_issuer.tokens()))["ok"]
            found = {name: each.result() for name, each in answers.items()}
            assert found == {name: reason for name, (_, reason) in ANSWERS.items()}
            for _ in range(20):  # who asks on does not reach an issuer that has answered
                for each, name in zip(feeds, ANSWERS, strict=True):
                    if ANSWERS[name][1] is not None and name not in ("silent", "endless", "half"):
                        told(each, name)
            given(feed)
        assert memory(daemon.pid) - before < 48 * 1024
        assert max(endpoint.calls.values()) <= 6, endpoint.calls


def test_a_source_s_reader_reads_no_other_source_and_authorizes_none(
    strict_issuer: RunningIssuer, start: Start, folder: Path
) -> None:
    daemon = start(
        with_sources(strict_issuer, folder, source(readers=[os.geteuid()]), source("other"))
    )
    with Operator(daemon) as operator:
        for name in (
            "other",
            "QUOTES",
            "quotes%2f..%2fother",
            "quotes%00",
            "source%3Aquotes",
            "%ff",
        ):
            status = operator.ask("GET", f"/v1/sources/{name}/token").status_code
            assert status in (403, 404), name
            context = {"context": f"source:{name}", "name": "oauth"}
            assert operator.ask("GET", "/v1/stores/token", params=context).status_code in (403, 404)
        assert operator.ask("GET", "/v1/sources/quotes/token").status_code == 200


def test_a_browser_s_answer_to_one_source_is_none_to_another(
    strict_issuer: RunningIssuer, start: Start, folder: Path
) -> None:
    keys = {"grant": "refresh_token", "client_id": "feeds-desk"}
    daemon = start(with_sources(strict_issuer, folder, source(**keys), source("other", **keys)))
    with Operator(daemon) as operator:

        def begin(name: str) -> tuple[str, str]:
            path = f"/v1/sources/{name}/authorizations"
            begun = operator.ask("POST", path, json=HERE).json()
            state = begun["url"].split("state=")[1].split("&")[0]
            return f"{path}/{begun['id']}", state

        (one, ones), (other, others) = begin("quotes"), begin("other")
        calls = strict_issuer.control.calls("/token")
        for path, state in ((one, others), (other, ones), (one, ""), (one, "ä")):
            answer = operator.ask("POST", path, json={"code": "code", "state": state})
            assert answer.status_code == 400
        mixed = other.replace("/other/", "/quotes/")
        for path in (mixed, f"{one}x", one.rsplit("/", 1)[0] + "/none"):
            assert (
                operator.ask("POST", path, json={"code": "c", "state": others}).status_code == 404
            )
        for _ in range(200):  # abandoned ones make room for the next
            one, ones = begin("quotes")
        assert operator.ask("GET", other).json()["state"] == "waiting"
        assert strict_issuer.control.calls("/token") == calls
        told = operator.ask("POST", one, json={"code": "made-up", "state": ones}).json()
        assert told["state"] == "failed"
        again = operator.ask("POST", one, json={"code": "made-up", "state": ones})
        assert again.status_code == 400  # an answer counts once


def test_users_tokens_are_never_mixed_up_and_end_with_their_sessions(
    strict_issuer: RunningIssuer, start: Start, folder: Path
) -> None:
    daemon = start(with_sources(strict_issuer, folder, users()))
    with asking(daemon, "feed1", "feed2") as (feed, other), Operator(daemon) as operator:
        alices = feed.log_in(ALICE, pair(strict_issuer.tokens(ALICE)), 5)["session"]
        bobs = other.log_in(BOB, pair(strict_issuer.tokens(BOB)), 6)["session"]
        with ThreadPoolExecutor(2) as threads:
            first = threads.submit(lambda: {given(feed, session=alices) for _ in range(50)})
            second = threads.submit(lambda: {given(other, session=bobs) for _ in range(50)})
            (one,), (two,) = first.result(), second.result()
        assert one != two
        assert [refused(feed, session=bobs), refused(other, session=alices)] == ["notallowed"] * 2
        operator.revoke(user=ALICE)
        assert refused(feed, session=alices) == "notallowed"
        assert given(other, session=bobs) == two
