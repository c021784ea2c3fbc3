"""Saved reports, key figures, widgets and the cache of their data."""

from __future__ import annotations

import json
from typing import Any

from . import database
from .database import Json, get_connection, get_db

UPDATABLE = ("title", "question", "sql_query", "chart_config", "is_pinned", "tags")


def save_report(datasource_id: int | None, title: str, sql_query: str, chart: Json | None = None) -> int | None:
    with get_db() as conn:
        cursor = conn.execute(
            "INSERT INTO saved_reports (datasource_id, title, sql_query, chart_config) VALUES (?, ?, ?, ?)",
            (datasource_id, title, sql_query, json.dumps(chart or {})),
        )
        return cursor.lastrowid


def list_reports() -> list[Json]:
    with get_db() as conn:
        rows = conn.execute(
            "SELECT id, title, is_pinned, run_count, tags, created_at FROM saved_reports"
            " ORDER BY is_pinned DESC, run_count DESC, id LIMIT 50"
        ).fetchall()
    return [dict(row) for row in rows]


def get_report(report_id: int) -> Json | None:
    conn = get_connection()
    row = conn.execute("SELECT * FROM saved_reports WHERE id = ?", (report_id,)).fetchone()
    conn.close()
    return dict(row) if row is not None else None


def update_report(report_id: int, changes: Json) -> Json | None:
    fields: list[str] = []
    params: list[Any] = []
    for name in UPDATABLE:
        if name in changes:
            fields.append(f"{name} = ?")
            params.append(changes[name])
    fields.append("updated_at = CURRENT_TIMESTAMP")
    params.append(report_id)
    conn = get_connection()
    try:
        conn.execute(f"UPDATE saved_reports SET {', '.join(fields)} WHERE id = ?", params)
        conn.commit()
        row = conn.execute("SELECT id, title, is_pinned FROM saved_reports WHERE id = ?", (report_id,)).fetchone()
        return dict(row) if row else None
    finally:
        conn.close()


def run_report(report_id: int) -> int:
    """Counts a run; `x = x + 1` as the app has it everywhere."""
    with get_db() as conn:
        return conn.execute("UPDATE saved_reports SET run_count = run_count + 1 WHERE id = ?", (report_id,)).rowcount


def duplicate_report(report_id: int) -> int | None:
    with get_db() as conn:
        cursor = conn.execute(
            "INSERT INTO saved_reports (datasource_id, title, question, sql_query, chart_config)"
            " SELECT datasource_id, title || ' (copy)', question, sql_query, chart_config"
            " FROM saved_reports WHERE id = ?",
            (report_id,),
        )
        return cursor.lastrowid if cursor.rowcount else None


def delete_report(report_id: int) -> int:
    with get_db() as conn:
        conn.execute(
            "DELETE FROM widget_cache WHERE widget_id IN (SELECT id FROM widgets WHERE report_id = ?)", (report_id,)
        )
        conn.execute("DELETE FROM widgets WHERE report_id = ?", (report_id,))
        conn.execute("DELETE FROM kpis WHERE report_id = ?", (report_id,))
        return conn.execute("DELETE FROM saved_reports WHERE id = ?", (report_id,)).rowcount


def search_reports(text: str) -> list[Json]:
    with get_db() as conn:
        rows = conn.execute(
            "SELECT id, title FROM saved_reports WHERE title LIKE ? ESCAPE '!' COLLATE NOCASE ORDER BY title, id",
            (f"%{text.replace('!', '!!').replace('%', '!%').replace('_', '!_')}%",),
        ).fetchall()
    return [dict(row) for row in rows]


def add_kpi(report_id: int, name: str, target: float, status: str = "ok") -> Json:
    """An unknown status is refused by the table's CHECK; the caller goes on with the same connection."""
    conn = get_connection()
    try:
        conn.execute("UPDATE saved_reports SET updated_at = CURRENT_TIMESTAMP WHERE id = ?", (report_id,))
        try:
            cursor = conn.execute(
                "INSERT INTO kpis (dashboard_id, report_id, name, target, status) VALUES (?, ?, ?, ?, ?)",
                (1, report_id, name, target, status),
            )
            result: Json = {"id": cursor.lastrowid}
        except database.sqlite3.IntegrityError as error:
            result = {"error": str(error).split(":")[0]}
        conn.commit()  # what came before the error stays
        return result
    finally:
        conn.close()


def measure_kpi(kpi_id: int, value: float) -> Json | None:
    with get_db() as conn:
        conn.execute(
            "UPDATE kpis SET current_value = ?, status = CASE WHEN ? >= target THEN 'ok'"
            " WHEN ? >= target * 0.8 THEN 'warning' ELSE 'critical' END WHERE id = ?",
            (value, value, value, kpi_id),
        )
        row = conn.execute("SELECT id, status, current_value, target FROM kpis WHERE id = ?", (kpi_id,)).fetchone()
        return dict(row) if row else None


def kpi_board() -> list[Json]:
    with get_db() as conn:
        rows = conn.execute(
            """
            SELECT k.status, COUNT(*) AS n, ROUND(AVG(k.current_value), 2) AS average,
                   GROUP_CONCAT(k.name, ', ') AS names
            FROM kpis k WHERE k.id <= 20 GROUP BY k.status ORDER BY k.status
            """
        ).fetchall()
    return [dict(row) for row in rows]


def delete_kpi(kpi_id: int) -> int:
    with get_db() as conn:
        return conn.execute("DELETE FROM kpis WHERE id = ?", (kpi_id,)).rowcount


def kpi_ids() -> list[int]:
    with get_db() as conn:
        return [row[0] for row in conn.execute("SELECT id FROM kpis").fetchall()]


def add_widget(report_id: int, kind: str, title: str | None) -> int | None:
    """Placed after the last one of its report."""
    with get_db() as conn:
        cursor = conn.execute(
            "INSERT INTO widgets (report_id, kind, title, position) VALUES (?, ?, ?,"
            " (SELECT COALESCE(MAX(position), 0) + 1 FROM widgets WHERE report_id = ?))",
            (report_id, kind, title, report_id),
        )
        return cursor.lastrowid


def widgets_of(report_id: int) -> list[Json]:
    with get_db() as conn:
        rows = conn.execute(
            "SELECT w.*, c.data, c.expires_at FROM widgets w LEFT JOIN widget_cache c ON c.widget_id = w.id"
            " WHERE w.report_id = ? AND w.is_visible ORDER BY w.position, w.id",
            (report_id,),
        ).fetchall()
    return [dict(row) for row in rows]


def reorder_widgets(report_id: int, ids: list[int]) -> int:
    with get_db() as conn:
        cursor = conn.executemany(
            "UPDATE widgets SET position = ? WHERE id = ? AND report_id = ?",
            ((place, widget_id, report_id) for place, widget_id in enumerate(ids, start=1)),
        )
        return cursor.rowcount


def toggle_widget(widget_id: int) -> None:
    with get_db() as conn:
        conn.execute("UPDATE widgets SET is_visible = NOT is_visible WHERE id = ?", (widget_id,))


def cache_widget(widget_id: int, data: Json, minutes: int) -> None:
    with get_db() as conn:
        conn.execute(
            "INSERT OR REPLACE INTO widget_cache (widget_id, data, row_count, expires_at)"
            " VALUES (?, ?, ?, datetime('now', ?))",
            (widget_id, json.dumps(data), len(data), f"+{minutes} minutes"),
        )


def cached_widget(widget_id: int) -> Json | None:
    conn = get_connection()
    row = conn.execute(
        "SELECT data, refreshed_at FROM widget_cache WHERE widget_id = ? AND expires_at > datetime('now')", (widget_id,)
    ).fetchone()
    conn.close()
    return {"data": json.loads(row["data"]), "refreshed_at": row["refreshed_at"]} if row else None


def purge_cache() -> int:
    with get_db() as conn:
        return conn.execute("DELETE FROM widget_cache WHERE expires_at < CURRENT_TIMESTAMP").rowcount


def cache_statistics() -> Json:
    with get_db() as conn:
        row = conn.execute(
            "SELECT COUNT(*) AS entries, COALESCE(SUM(row_count), 0) AS cached_rows, MIN(expires_at) AS first_expiry,"
            " SUM(expires_at < datetime('now')) AS expired FROM widget_cache"
        ).fetchone()
    return dict(row)
