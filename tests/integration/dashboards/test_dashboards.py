"""Panels and alerts ask for what the agent really exports: every expression runs on a real Prometheus.

Where the package `prometheus` truly cannot be had (dashboards/ensure-prometheus.sh tries), the expressions are only
parsed by a small reader here, and a warning in pytest's summary says so; a wrong name is found all the same. There is
no Grafana binary on the build machines: the dashboard's JSON is checked by structure and by its expressions.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import yaml
from liveagent import LiveAgent, fetch, until
from prometheus_client.parser import text_string_to_metric_families

from shadow.metrics import METRICS

ROOT = Path(__file__).parents[3]
DASHBOARDS = ROOT / "dashboards"
RULES = DASHBOARDS / "prometheus" / "rules.yml"
BOARD: dict[str, Any] = json.loads((DASHBOARDS / "grafana" / "dashboards" / "shadow.json").read_text("utf-8"))
PANELS: list[dict[str, Any]] = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
EXPRESSIONS = [target["expr"] for panel in PANELS for target in panel["targets"]]
ALERTS: list[dict[str, Any]] = [
    rule for group in yaml.safe_load(RULES.read_text("utf-8"))["groups"] for rule in group["rules"]
]

#: State that every agent of a working pair shows from its first minute on, so the panel is not empty.
ALWAYS_THERE = {
    "shadow_primary",
    "shadow_epoch",
    "shadow_proof_epoch",
    "shadow_postgres_up",
    "shadow_sqlite_up",
    "shadow_journal_position",
    "shadow_applied_position",
    "shadow_lag_records",
    "shadow_lag_seconds",
    "shadow_journal_bytes",
    "shadow_divergences_unresolved",
    "shadow_dirty_tables",
    "shadow_mismatches_unresolved",
    "shadow_shapes",
    "shadow_gate_open",
}
NO_PROMETHEUS = (
    "prometheus and promtool are not there: expressions were only parsed, not run; install the package `prometheus`"
)
FUNCTIONS = {
    "sum",
    "min",
    "max",
    "count",
    "avg",
    "rate",
    "increase",
    "deriv",
    "changes",
    "clamp_min",
    "histogram_quantile",
    "min_over_time",
    "by",
    "on",
    "unless",
    "and",
    "or",
    "offset",
}


def read_promql(expr: str) -> None:
    """The small reader: every character is part of a token, brackets close, words are functions, metrics or labels."""
    token = re.compile(r'\s+|[a-z_]+|"[^"]*"|\d+(?:\.\d+)?[smhd]?|==|!=|=~|>=|<=|[-+*/<>=,(){}\[\]]')
    at, open_brackets = 0, []
    while at < len(expr):
        found = token.match(expr, at)
        assert found, f"{expr!r} cannot be read at {at}"
        text, at = found.group(), found.end()
        if text in "([{":
            open_brackets.append(text)
        elif text in ")]}":
            assert open_brackets, expr
            assert open_brackets.pop() + text in ("()", "[]", "{}"), expr
        elif re.match(r"[a-z]", text) and open_brackets[-1:] != ["{"] and expr[at:].lstrip().startswith("("):
            assert text in FUNCTIONS, f"{text} is no function used here: {expr}"
    assert not open_brackets, expr


def names_in(expr: str) -> set[str]:
    """Our metrics in an expression."""
    return set(re.findall(r"\bshadow_[a-z_]+\b", expr))


def exported_names() -> set[str]:
    names = set()
    for metric in METRICS:
        names |= {metric.name + end for end in ("_bucket", "_sum", "_count")} if metric.kind == "histogram" else set()
        names |= {metric.name} if metric.kind != "histogram" else set()
    return names


def test_panels_and_alerts_ask_only_for_metrics_of_the_table() -> None:
    asked = set().union(*(names_in(expr) for expr in EXPRESSIONS), *(names_in(rule["expr"]) for rule in ALERTS))
    assert asked <= exported_names()


def test_every_metric_is_looked_at_by_a_panel_or_an_alert() -> None:
    asked = set().union(*(names_in(expr) for expr in EXPRESSIONS), *(names_in(rule["expr"]) for rule in ALERTS))
    bare = {re.sub(r"_(bucket|sum|count)$", "", name) for name in asked} | asked
    # Positions are shown as their difference, the lag; the proof epoch only explains why a gate closed.
    unwatched = {"shadow_journal_position", "shadow_applied_position", "shadow_proof_epoch"}
    assert {metric.name for metric in METRICS} - bare == unwatched


def test_labels_in_expressions_are_those_of_the_table() -> None:
    labels = {metric.name: set(metric.labels) | {"le", "job", "instance"} for metric in METRICS}
    for expr in [*EXPRESSIONS, *(rule["expr"] for rule in ALERTS)]:
        allowed = set().union(*(labels.get(re.sub(r"_bucket$", "", name), set()) for name in names_in(expr)), {"job"})
        grouped = re.findall(r"\b(?:by|on) \(([^)]*)\)", expr)
        used = {name.strip() for group in grouped for name in group.split(",")}
        used |= set(re.findall(r"[{,]\s*([a-z_]+)\s*(?:=|!=|=~)", expr))
        assert used <= allowed, expr


def test_the_dashboard_is_what_its_generator_writes() -> None:
    done = subprocess.run(
        [sys.executable, str(DASHBOARDS / "generate.py"), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_panels_are_laid_out_as_grafana_wants_them() -> None:
    assert BOARD["schemaVersion"] >= 39
    assert len({panel["id"] for panel in BOARD["panels"]}) == len(BOARD["panels"])
    taken: set[tuple[int, int]] = set()
    for panel in BOARD["panels"]:
        grid = panel["gridPos"]
        assert grid["x"] + grid["w"] <= 24
        cells = {
            (x, y) for x in range(grid["x"], grid["x"] + grid["w"]) for y in range(grid["y"], grid["y"] + grid["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
    datasource = yaml.safe_load(
        (DASHBOARDS / "grafana" / "provisioning" / "datasources" / "prometheus.yml").read_text("utf-8")
    )["datasources"][0]
    for panel in PANELS:
        assert panel["description"], panel["title"]
        assert panel["datasource"]["uid"] == datasource["uid"]
        assert [target["refId"] for target in panel["targets"]] == [chr(65 + i) for i in range(len(panel["targets"]))]


def test_every_alert_has_its_entry_in_the_runbook() -> None:
    headings = set(re.findall(r"^### (\w+)$", (ROOT / "docs" / "runbook.md").read_text("utf-8"), re.MULTILINE))
    assert {rule["alert"] for rule in ALERTS} == headings
    for rule in ALERTS:
        assert rule["annotations"]["runbook_url"] == f"docs/runbook.md#{rule['alert'].lower()}"
        assert rule["labels"]["severity"] in ("critical", "warning")


def promtool(*arguments: str) -> str | None:
    """What is wrong, "" when nothing is, None without promtool."""
    if shutil.which("promtool") is None:
        warnings.warn(NO_PROMETHEUS, stacklevel=2)
        return None
    done = subprocess.run(
        ["promtool", *arguments], cwd=RULES.parent, capture_output=True, text=True, timeout=60, check=False
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


@pytest.mark.parametrize("expr", sorted({*EXPRESSIONS, *(rule["expr"] for rule in ALERTS)}))
def test_every_expression_can_be_read(expr: str) -> None:
    read_promql(expr)


@pytest.mark.parametrize("arguments", [("check", "config", "prometheus.yml"), ("check", "rules", "rules.yml")])
def test_promtool_accepts_the_files(arguments: tuple[str, ...]) -> None:
    assert not promtool(*arguments)


def test_each_alert_fires_when_it_should_and_is_quiet_otherwise() -> None:
    assert not promtool("test", "rules", "rules.test.yml")
    tested = {t["name"] for t in yaml.safe_load(RULES.with_name("rules.test.yml").read_text("utf-8"))["tests"]}
    assert {rule["alert"] for rule in ALERTS} <= tested


def test_what_the_agent_exports_is_the_table_and_nothing_else(agent: LiveAgent) -> None:
    kinds = {metric.name.removesuffix("_total"): metric for metric in METRICS}
    families = list(text_string_to_metric_families(fetch(f"{agent.url}/metrics")[1]))
    assert {family.name for family in families if family.samples} >= {n.removesuffix("_total") for n in ALWAYS_THERE}
    # The client library adds the time at which each counter was made.
    for family in (f for f in families if not f.name.endswith("_created")):
        metric = kinds[family.name]
        assert (family.type, family.documentation) == (metric.kind, metric.help)
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == set(metric.labels), sample


def test_every_panel_and_every_rule_runs_on_a_real_prometheus(prometheus: Any) -> None:
    """Prometheus reports no error for any expression, and panels of what is always there are not empty."""
    if prometheus is None:
        warnings.warn(NO_PROMETHEUS, stacklevel=1)
        return
    empty = [expr for expr in EXPRESSIONS if not prometheus.query(expr) and names_in(expr) <= ALWAYS_THERE]
    # An expression that filters or divides may be empty in a healthy state; these do not.
    assert empty == []

    def evaluated() -> bool:
        groups = prometheus.ask("rules")["data"]["groups"]
        return all(rule["health"] != "unknown" for group in groups for rule in group["rules"])

    until("every rule to be evaluated", evaluated)
    rules = [rule for group in prometheus.ask("rules")["data"]["groups"] for rule in group["rules"]]
    assert {rule["name"] for rule in rules} == {rule["alert"] for rule in ALERTS}
    assert [(rule["name"], rule.get("lastError")) for rule in rules if rule["health"] != "ok"] == []
    for rule in ALERTS:
        prometheus.query(rule["expr"])
    critical = [
        rule["name"] for rule in rules if rule["state"] == "firing" and rule["labels"]["severity"] == "critical"
    ]
    assert critical == []
