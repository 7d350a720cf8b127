"""The metrics of a running daemon, and what the dashboard, the alerts and the docs make of them."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.integration.conftest import Connected, Start
from tests.integration.estate import with_tickets
from tests.integration.operating import Operator
from tests.integration.test_login import pair
from tests.issuer.running import ALICE, RunningIssuer
from tests.running_daemon import configuration

DOCS = Path(__file__).parents[2] / "docs"
NAME = re.compile(r"\b(?:sessiond|process)_[a-z0-9_]+\b")
METRIC_ROW = re.compile(r"^\| `((?:sessiond|process)_\w+)` \| (\w+) \|([^|]*)\|", re.MULTILINE)
SUFFIXES = {"histogram": ("_bucket", "_count", "_sum"), "counter": ("_total",), "gauge": ("",)}


@pytest.fixture
def scraped(strict_issuer: RunningIssuer, start: Start, process: Connected) -> str:
    """What /metrics has after logins that went well and some that did not."""
    daemon = start(with_tickets(strict_issuer))
    q, tokens = process(daemon), strict_issuer.tokens()
    session = q.log_in(ALICE, pair(tokens))["session"]
    assert q.ticket(session, "hdb1")["reason"] == "notallowed"
    assert q.renew(session, pair(tokens))["ok"]
    assert q.connect("mallory@contoso.test", pair(tokens), 6)["reason"] == "usermismatch"
    with Operator(daemon) as operator:
        return operator.ask("GET", "/metrics").text


def families(text: str) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Return each metric's name as the text format has it, with its type and labels."""
    found: dict[str, tuple[str, tuple[str, ...]]] = {}
    for family in text_string_to_metric_families(text):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        found[name] = (family.type, tuple(sorted(labels)))
    return found


def sample_names(text: str) -> set[str]:
    """Return every name that a query may ask for."""
    return {
        name + (suffix if kind == "histogram" else "")
        for name, (kind, _) in families(text).items()
        for suffix in SUFFIXES[kind]
    }


def expressions(node: Any) -> Iterator[str]:
    """Yield each query of a dashboard."""
    match node:
        case {"expr": str(expression)}:
            yield expression
        case {"definition": str(definition)}:
            yield definition
        case dict():
            for each in node.values():
                yield from expressions(each)
        case list():
            for each in node:
                yield from expressions(each)
        case _:
            pass


def promtool(*arguments: str, given: str | None = None) -> None:
    """Run Prometheus' own checker; it must have nothing to say against it."""
    ran = subprocess.run(
        ["promtool", *arguments], input=given, cwd=DOCS, text=True, capture_output=True, check=False
    )
    assert (ran.returncode, ran.stderr if given else "") == (0, ""), ran.stdout + ran.stderr


def test_a_log_line_says_what_the_time_of_a_login_went_to(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    daemon = start(configuration(strict_issuer))
    q, tokens = process(daemon), strict_issuer.tokens()
    session = q.log_in(ALICE, pair(tokens))["session"]
    assert q.connect("mallory@contoso.test", pair(tokens), 6)["reason"] == "usermismatch"
    (accepted,) = daemon.logged(1, event="login", outcome="accepted")
    assert accepted["session"] == str(session)
    assert (accepted["issuer"], accepted["process"], accepted["user"]) == ("corp", "gw1", ALICE)
    assert 0 < accepted["commit_ms"] <= accepted["answer_ms"]
    (refused,) = daemon.logged(1, event="login", outcome="refused")
    assert (refused["reason"], refused["issuer"]) == ("usermismatch", "corp")
    assert refused["answer_ms"] > 0
    assert not {"session", "commit_ms"} & refused.keys()


def test_what_happened_is_measured(scraped: str) -> None:
    counts = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(scraped)
        for sample in family.samples
    }
    assert counts["sessiond_answer_seconds_count", "connect", "accepted"] == 1
    assert counts["sessiond_answer_seconds_count", "connect", "refused"] == 1
    assert counts["sessiond_answer_seconds_count", "renew", "accepted"] == 1
    assert counts["sessiond_commit_seconds_count",] >= 2
    assert counts["sessiond_commits_total", "ok"] == counts["sessiond_commit_seconds_count",]
    assert counts["sessiond_issuer_last_success_timestamp_seconds", "corp"] > 1e9
    assert counts["sessiond_store_database_bytes",] >= 4096
    assert counts["sessiond_store_disk_bytes",] >= counts["sessiond_store_free_bytes",] > 0
    assert counts["process_open_fds",] > 3
    assert counts["process_cpu_seconds_total",] > 0
    assert ALICE not in scraped
    assert "mallory" not in scraped


@pytest.mark.needs("promtool")
def test_prometheus_itself_finds_nothing_wrong_with_the_metrics(scraped: str) -> None:
    promtool("check", "metrics", given=scraped)


@pytest.mark.needs("promtool")
def test_the_alert_rules_are_accepted_and_fire_when_they_should() -> None:
    promtool("check", "rules", "alerts.yml")
    promtool("test", "rules", "alerts-test.yml")


def test_the_alerts_ask_for_metrics_that_are_there(scraped: str) -> None:
    for file in ("alerts.yml", "alerts-test.yml"):
        asked = set(NAME.findall((DOCS / file).read_text()))
        assert asked
        assert asked - sample_names(scraped) == set(), file


def test_every_metric_of_the_dashboard_is_there_and_none_is_left_out(scraped: str) -> None:
    dashboard = json.loads((DOCS / "grafana-dashboard.json").read_text())
    queries = list(expressions(dashboard))
    asked = {name for query in queries for name in NAME.findall(query)}
    assert asked - sample_names(scraped) == set()
    ours = {name for name in families(scraped) if name.startswith("sessiond_")}
    unused = {name for name in ours if not any(each.startswith(name) for each in asked)}
    assert unused == set()


def test_the_dashboard_has_its_rows_and_asks_the_chosen_data_source() -> None:
    dashboard = json.loads((DOCS / "grafana-dashboard.json").read_text())
    panels = dashboard["panels"]
    rows = [each["title"] for each in panels if each["type"] == "row"]
    assert rows == [
        "Now",
        "Logins",
        "Latency",
        "Web",
        "Issuers",
        "Refresh",
        "Sessions",
        "Subscribers",
        "Daemon",
    ]
    assert len({each["id"] for each in panels}) == len(panels)
    assert {each["datasource"]["uid"] for each in panels if each["type"] != "row"} == {
        "${datasource}"
    }
    assert dashboard["templating"]["list"][0]["type"] == "datasource"
    places = [tuple(each["gridPos"].values()) for each in panels]
    assert len(set(places)) == len(places)


@pytest.mark.needs("promtool")
def test_the_dashboards_queries_are_promql(tmp_path: Path) -> None:
    dashboard = json.loads((DOCS / "grafana-dashboard.json").read_text())
    queries = [each for each in expressions(dashboard) if not each.startswith("label_values")]
    rules = [
        {"record": f"panel:{number}", "expr": query.replace("$__rate_interval", "5m")}
        for number, query in enumerate(queries)
    ]
    file = tmp_path / "rules.yml"
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    promtool("check", "rules", str(file))


def test_the_reference_has_each_metric_with_its_type_and_labels(scraped: str) -> None:
    text = (DOCS / "signals.md").read_text()
    written = {name: (kind, labels.strip("` ")) for name, kind, labels in METRIC_ROW.findall(text)}
    there = {name: (kind, labels) for name, (kind, labels) in families(scraped).items()}
    assert written.keys() == there.keys()
    assert {name: kind for name, (kind, _) in written.items()} == {
        name: kind for name, (kind, _) in there.items()
    }
    for name, (_, labels) in there.items():  # a metric without samples shows no labels here
        assert not labels or written[name][1].replace("`", "") == " ".join(labels), name
