"""Writes grafana/dashboards/shadow.json from the table in panels.py: `python dashboards/generate.py`.

Grafana's JSON is long and repeats itself; the panels are not. Each names what it asks Prometheus; metric names come
from shadow/metrics.py (a test checks that, and runs every expression on a real Prometheus). `--check` only compares.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from panels import BLUE, ROWS, Panel, Query

TARGET = Path(__file__).parent / "grafana" / "dashboards" / "shadow.json"
DATASOURCE = {"type": "prometheus", "uid": "shadow-prometheus"}
_WIDTH = 24  # Grafana's grid


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
