"""Writes grafana/dashboards/shadow.json from the table of panels below: `python dashboards/generate.py`.

Grafana's JSON is long and repeats itself; the panels are not. Each names what it asks Prometheus; metric names come
from shadow/metrics.py (a test checks that, and runs every expression on a real Prometheus). `--check` only compares.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path

TARGET = Path(__file__).parent / "grafana" / "dashboards" / "shadow.json"
DATASOURCE = {"type": "prometheus", "uid": "shadow-prometheus"}
_WIDTH = 24  # Grafana's grid

GREEN, ORANGE, RED, BLUE = "green", "orange", "red", "blue"


@dataclass(frozen=True, slots=True)
class Query:
    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel: `kind` is Grafana's panel type; thresholds are (from, colour) with the first as the base."""

    title: str
    kind: str  # stat | timeseries | table
    queries: tuple[Query, ...]
    width: int
    height: int
    description: str
    unit: str = "short"
    thresholds: tuple[tuple[float | None, str], ...] = ((None, GREEN),)
    mappings: tuple[tuple[str, str, str], ...] = ()  # value, text, colour
    name_from: bool = False  # stat: show the series' name instead of its value
    stacked: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    title: str
    panels: tuple[Panel, ...] = field(default_factory=tuple)


ZERO_IS_GOOD = ((None, GREEN), (1.0, RED))
UP_DOWN = (("0", "down", RED), ("1", "up", GREEN))
OPEN_CLOSED = (("0", "closed", RED), ("1", "open", GREEN))

ROWS = (
    Row(
        "Where we are",
        (
            Panel(
                "Primary",
                "stat",
                (Query("shadow_primary == 1", "{{side}}"),),
                4,
                4,
                "The database that accepts the app's writes.",
                name_from=True,
                thresholds=((None, BLUE),),
            ),
            Panel(
                "Epoch", "stat", (Query("shadow_epoch"),), 2, 4, "Raised by every switch.", thresholds=((None, BLUE),)
            ),
            Panel(
                "PostgreSQL",
                "stat",
                (Query("shadow_postgres_up"),),
                3,
                4,
                "Whether the agent can use PostgreSQL. Down: the journal grows, the app notices nothing.",
                mappings=UP_DOWN,
                thresholds=((None, RED), (1.0, GREEN)),
            ),
            Panel(
                "SQLite",
                "stat",
                (Query("shadow_sqlite_up"),),
                3,
                4,
                "Whether the agent can read the SQLite file.",
                mappings=UP_DOWN,
                thresholds=((None, RED), (1.0, GREEN)),
            ),
            Panel(
                "Gates open",
                "stat",
                (Query("sum(shadow_gate_open) / count(shadow_gate_open)"),),
                4,
                4,
                "Share of cutover gates that are open; the table below names the closed ones.",
                unit="percentunit",
                thresholds=((None, ORANGE), (1.0, GREEN)),
            ),
            Panel(
                "Mismatches",
                "stat",
                (Query("shadow_mismatches_unresolved"),),
                4,
                4,
                "Statement shapes with a mismatch that nobody resolved. `shadow mismatches` shows both results.",
                thresholds=ZERO_IS_GOOD,
            ),
            Panel(
                "Divergences",
                "stat",
                (Query("shadow_divergences_unresolved"),),
                4,
                4,
                "Writes that had another effect on PostgreSQL, not yet settled.",
                thresholds=ZERO_IS_GOOD,
            ),
        ),
    ),
    Row(
        "Journal and apply",
        (
            Panel(
                "Lag, seconds",
                "timeseries",
                (Query("shadow_lag_seconds", "age of the oldest record not applied"),),
                8,
                8,
                "How far PostgreSQL is behind, in time.",
                unit="s",
            ),
            Panel(
                "Lag, records",
                "timeseries",
                (Query("shadow_lag_records", "not yet applied"),),
                8,
                8,
                "How far PostgreSQL is behind, in transactions.",
            ),
            Panel(
                "Apply rate",
                "timeseries",
                (
                    Query("rate(shadow_apply_transactions_total[1m])", "transactions"),
                    Query("rate(shadow_apply_statements_total[1m])", "statements"),
                ),
                8,
                8,
                "What the applier gets done per second.",
                unit="ops",
            ),
            Panel(
                "Duration of an applied group",
                "timeseries",
                (
                    Query("histogram_quantile(0.5, sum by (le) (rate(shadow_apply_seconds_bucket[5m])))", "median"),
                    Query("histogram_quantile(0.99, sum by (le) (rate(shadow_apply_seconds_bucket[5m])))", "p99"),
                ),
                8,
                8,
                "One PostgreSQL transaction of the applier.",
                unit="s",
            ),
            Panel(
                "Not applied, and tried again",
                "timeseries",
                (
                    Query("increase(shadow_apply_skipped_total[5m])", "skipped: {{reason}}"),
                    Query("increase(shadow_apply_retries_total[5m])", "again: {{reason}}"),
                ),
                8,
                8,
                "Statements that apply left out (their tables become dirty), and rounds started again; per 5 minutes.",
            ),
            Panel(
                "Journal size",
                "timeseries",
                (Query("shadow_journal_bytes", "bytes kept in SQLite"),),
                8,
                8,
                "Grows while PostgreSQL is away; trimmed after PostgreSQL has the records.",
                unit="bytes",
            ),
        ),
    ),
    Row(
        "Reads compared",
        (
            Panel(
                "Compared reads by verdict",
                "timeseries",
                (Query("sum by (verdict) (rate(shadow_reads_compared_total[1m]))", "{{verdict}}"),),
                8,
                8,
                "Reads that were run on both sides at one position.",
                unit="ops",
                stacked=True,
            ),
            Panel(
                "Not comparable, share",
                "timeseries",
                (
                    Query(
                        "sum(rate(shadow_reads_not_comparable_total[5m]))"
                        " / clamp_min(sum(rate(shadow_reads_seen_total[5m])), 0.001)",
                        "share of reads seen",
                    ),
                ),
                8,
                8,
                "Reads without a verdict. Above 5 % the proof is thin.",
                unit="percentunit",
                thresholds=((None, GREEN), (0.05, RED)),
            ),
            Panel(
                "Why not comparable",
                "timeseries",
                (
                    Query("sum by (reason) (increase(shadow_reads_not_comparable_total[5m]))", "{{reason}}"),
                    Query("sum by (reason) (increase(shadow_samples_dropped_total[5m]))", "dropped: {{reason}}"),
                ),
                8,
                8,
                "By reason, per 5 minutes. A dropped class of samples closes the coverage gate.",
                stacked=True,
            ),
            Panel(
                "Coverage of statement shapes",
                "timeseries",
                (Query("shadow_shapes", "{{state}}"),),
                8,
                8,
                "compared: at least once; waiting: seen, not yet compared; unsupported: no faithful translation.",
                stacked=True,
            ),
            Panel(
                "Mismatches and divergences",
                "timeseries",
                (
                    Query("shadow_mismatches_unresolved", "mismatches unresolved"),
                    Query("shadow_divergences_unresolved", "divergences unresolved"),
                ),
                8,
                8,
                "Both must be 0 before a cutover.",
            ),
            Panel(
                "Duration of a compared read",
                "timeseries",
                (
                    Query(
                        "histogram_quantile(0.95, sum by (side, le) (rate(shadow_compare_seconds_bucket[5m])))",
                        "p95 {{side}}",
                    ),
                ),
                8,
                8,
                "The same reads on both sides: what the app will feel after the cutover.",
                unit="s",
            ),
        ),
    ),
    Row(
        "Proof and gates",
        (
            Panel(
                "Gates",
                "table",
                (Query("shadow_gate_open", "{{gate}}"),),
                8,
                9,
                "Every gate must be open before `shadow cutover`; `shadow status` gives the reasons.",
                mappings=OPEN_CLOSED,
                thresholds=((None, RED), (1.0, GREEN)),
            ),
            Panel(
                "Last verify, by table",
                "table",
                (Query("shadow_verify_age_seconds", "{{table}}"),),
                8,
                9,
                "Age of the last complete verify of each table; -1: never.",
                unit="s",
            ),
            Panel(
                "Rows different, by table",
                "timeseries",
                (Query("shadow_verify_rows_different", "{{table}}"),),
                8,
                9,
                "Rows that differed, were missing or extra in the last verify.",
            ),
            Panel(
                "Dirty tables",
                "timeseries",
                (Query("shadow_dirty_tables", "tables that wait for repair"),),
                8,
                7,
                "Apply skips a dirty table until it is repaired; reads that touch it are not comparable.",
            ),
            Panel(
                "Repaired rows",
                "timeseries",
                (Query("increase(shadow_repaired_rows_total[5m])", "rows in 5 minutes"),),
                8,
                7,
                "Rows brought back in line.",
            ),
            Panel(
                "Agent's workers started again",
                "timeseries",
                (Query("increase(shadow_worker_restarts_total[5m])", "{{worker}}"),),
                8,
                7,
                "After an error, with backoff; the agent's log says which.",
            ),
        ),
    ),
    Row(
        "The switch and the way back",
        (
            Panel(
                "Reverse lag",
                "timeseries",
                (Query("shadow_reverse_lag_changes", "changes not yet in SQLite"),),
                8,
                8,
                "While PostgreSQL is primary: what a rollback would still have to bring back.",
            ),
            Panel(
                "Reverse rate",
                "timeseries",
                (Query("rate(shadow_reverse_applied_total[1m])", "row changes"),),
                8,
                8,
                "Row changes that flow back into SQLite, per second.",
                unit="ops",
            ),
            Panel(
                "Wait of the last switch",
                "stat",
                (Query("shadow_switch_wait_seconds", "{{direction}}"),),
                4,
                8,
                "How long the fence was held.",
                unit="s",
                thresholds=((None, GREEN), (0.25, ORANGE), (2.0, RED)),
            ),
            Panel(
                "Switches",
                "stat",
                (Query("sum by (direction, outcome) (shadow_switches_total)", "{{direction}}: {{outcome}}"),),
                4,
                8,
                "Cutovers and rollbacks that this agent carried out, by outcome.",
                thresholds=((None, BLUE),),
            ),
        ),
    ),
)


def build() -> dict[str, object]:
    """The dashboard as Grafana 11 reads it."""
    panels: list[dict[str, object]] = []
    y = 0
    for row in ROWS:
        panels.append({"id": len(panels) + 1, "type": "row", "title": row.title, "collapsed": False, "panels": [],
                       "gridPos": {"h": 1, "w": _WIDTH, "x": 0, "y": y}})  # fmt: skip
        y += 1
        x = line_height = 0
        for panel in row.panels:
            if x + panel.width > _WIDTH:
                y, x, line_height = y + line_height, 0, 0
            grid = {"h": panel.height, "w": panel.width, "x": x, "y": y}
            panels.append({"id": len(panels) + 1, "gridPos": grid, **_panel(panel)})
            x, line_height = x + panel.width, max(line_height, panel.height)
        y += line_height
    return {
        "uid": "shadow",
        "title": "shadow: SQLite to PostgreSQL",
        "description": "Parity, lag, gates and the way back. Runbook: docs/runbook.md",
        "tags": ["shadow"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "timepicker": {},
        "links": [],
        "templating": {"list": []},
        "annotations": {"list": [_switches()]},
        "panels": panels,
    }


def _switches() -> dict[str, object]:
    """A line across every graph where the flag changed."""
    return {
        "name": "Switches",
        "enable": True,
        "datasource": DATASOURCE,
        "expr": "changes(shadow_epoch[1m]) > 0",
        "iconColor": BLUE,
        "titleFormat": "the flag changed",
    }


def _panel(panel: Panel) -> dict[str, object]:
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": DATASOURCE,
        "targets": [_target(panel, i, query) for i, query in enumerate(panel.queries)],
        "fieldConfig": {"defaults": _defaults(panel), "overrides": []},
        "options": _options(panel),
        **({"transformations": _table_columns()} if panel.kind == "table" else {}),
    }


def _target(panel: Panel, index: int, query: Query) -> dict[str, object]:
    table = panel.kind == "table"
    return {
        "refId": chr(ord("A") + index),
        "datasource": DATASOURCE,
        "expr": query.expr,
        "legendFormat": query.legend or "__auto",
        "instant": table,
        "range": not table,
        "format": "table" if table else "time_series",
    }


def _defaults(panel: Panel) -> dict[str, object]:
    defaults: dict[str, object] = {
        "unit": panel.unit,
        "min": 0 if panel.kind == "timeseries" else None,
        "color": {"mode": "palette-classic" if panel.kind == "timeseries" else "thresholds"},
        "thresholds": {"mode": "absolute", "steps": [{"value": v, "color": c} for v, c in panel.thresholds]},
        "mappings": [
            {"type": "value", "options": {value: {"text": text, "color": colour, "index": i}}}
            for i, (value, text, colour) in enumerate(panel.mappings)
        ],
    }
    if defaults["min"] is None:
        del defaults["min"]
    if panel.kind == "timeseries":
        stacking = {"mode": "normal" if panel.stacked else "none", "group": "A"}
        defaults["custom"] = {"lineWidth": 2, "fillOpacity": 30 if panel.stacked else 10, "showPoints": "never",
                              "stacking": stacking}  # fmt: skip
    if panel.kind == "table":
        defaults["custom"] = {"align": "auto", "cellOptions": {"type": "color-text"}}
    return defaults


def _options(panel: Panel) -> dict[str, object]:
    if panel.kind == "stat":
        return {
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "colorMode": "background",
            "graphMode": "none",
            "justifyMode": "center",
            "textMode": "name" if panel.name_from else "auto",
        }
    if panel.kind == "table":
        return {"showHeader": True, "cellHeight": "sm"}
    return {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }


def _table_columns() -> list[dict[str, object]]:
    """Only the label and the value: the rest is the same in every line."""
    hidden = dict.fromkeys(("Time", "__name__", "instance", "job"), True)
    return [{"id": "organize", "options": {"excludeByName": hidden}}]


def render() -> str:
    return json.dumps(build(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    if "--check" in sys.argv[1:]:
        sys.exit(0 if TARGET.read_text(encoding="utf-8") == render() else f"{TARGET.name} is stale: run {__file__}")
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(render(), encoding="utf-8")
