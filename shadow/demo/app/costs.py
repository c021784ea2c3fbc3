"""What the language models cost: one row per request, and the reports over them."""

from __future__ import annotations

from .database import Json, get_connection, get_db


def record_cost(
    model_id: int, conversation_id: int | None, request_id: str, tokens: tuple[int, int], cost: float
) -> int | None:
    with get_db() as conn:
        cursor = conn.execute(
            "INSERT INTO llm_costs (model_id, conversation_id, request_id, input_tokens, output_tokens, total_cost,"
            " duration_ms, success) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (model_id, conversation_id, request_id, tokens[0], tokens[1], cost, tokens[0] % 997, cost > 0),
        )
        return cursor.lastrowid


def costs_by_day(days: int) -> list[Json]:
    with get_db() as conn:
        rows = conn.execute(
            """
            SELECT DATE(created_at) AS date, COUNT(*) AS requests, SUM(input_tokens) AS input_tokens,
                   SUM(output_tokens) AS output_tokens, SUM(total_cost) AS total_cost
            FROM llm_costs
            WHERE created_at >= datetime('now', ?)
            GROUP BY DATE(created_at)
            ORDER BY date DESC
            """,
            (f"-{days} days",),
        ).fetchall()
    return [dict(row) for row in rows]


def costs_by_hour() -> list[Json]:
    with get_db() as conn:
        rows = conn.execute(
            "SELECT strftime('%Y-%m-%d %H:00', created_at) AS hour, COUNT(*) AS requests, SUM(total_cost) AS cost"
            " FROM llm_costs WHERE created_at >= datetime('now', '-7 days') AND success = 1"
            " GROUP BY strftime('%Y-%m-%d %H:00', created_at) ORDER BY hour DESC LIMIT 48"
        ).fetchall()
    return [dict(row) for row in rows]


def costs_by_model(days: int) -> list[Json]:
    """Bare columns beside GROUP BY: both names depend on the model, which PostgreSQL does not take on trust."""
    with get_db() as conn:
        rows = conn.execute(
            """
            SELECT m.display_name, p.display_name AS provider, COUNT(*) AS requests,
                   SUM(c.input_tokens + c.output_tokens) AS tokens, ROUND(SUM(c.total_cost), 6) AS cost,
                   AVG(c.duration_ms) AS average_ms
            FROM llm_costs c
            JOIN llm_models m ON m.id = c.model_id
            JOIN llm_providers p ON p.id = m.provider_id
            WHERE c.created_at >= datetime('now', ? || ' days')
            GROUP BY c.model_id
            ORDER BY requests DESC, c.model_id
            """,
            (f"-{days}",),
        ).fetchall()
    return [dict(row) for row in rows]


def latest_per_model() -> list[Json]:
    """With MAX() SQLite takes the bare columns from the row that has the maximum."""
    with get_db() as conn:
        rows = conn.execute(
            "SELECT model_id, MAX(id) AS last_id, request_id, created_at FROM llm_costs"
            " WHERE model_id IS NOT NULL GROUP BY model_id ORDER BY model_id"
        ).fetchall()
    return [dict(row) for row in rows]


def total_cost() -> Json:
    conn = get_connection()
    row = conn.execute(
        "SELECT COUNT(*) AS n, COALESCE(SUM(total_cost), 0) AS cost, SUM(NOT success) AS failures FROM llm_costs"
    ).fetchone()
    conn.close()
    return dict(row)


def costs_of_conversation(conversation_id: int) -> Json:
    with get_db() as conn:
        row = conn.execute(
            "SELECT COUNT(*) AS n, SUM(total_cost) AS cost, MAX(created_at) AS last FROM llm_costs"
            " WHERE conversation_id = ?",
            (conversation_id,),
        ).fetchone()
    return dict(row)


def expensive_requests(limit: int) -> list[Json]:
    with get_db() as conn:
        rows = conn.execute(
            "SELECT id, request_id, total_cost, currency, created_at FROM llm_costs"
            " ORDER BY total_cost DESC, id LIMIT ?",
            (limit,),
        ).fetchall()
    return [dict(row) for row in rows]


def budget_used(month: str) -> float:
    with get_db() as conn:
        row = conn.execute(
            "SELECT COALESCE(SUM(total_cost), 0.0) FROM llm_costs WHERE strftime('%Y-%m', created_at) = ?", (month,)
        ).fetchone()
    return float(row[0])


def today() -> Json:
    with get_db() as conn:
        row = conn.execute(
            "SELECT COUNT(*) AS requests, COALESCE(SUM(total_cost), 0) AS cost FROM llm_costs"
            " WHERE DATE(created_at) = DATE('now')"
        ).fetchone()
    return dict(row)


def purge_old(days: int) -> int:
    with get_db() as conn:
        cursor = conn.execute(
            "DELETE FROM llm_costs WHERE created_at < datetime('now', ? || ' days') AND success = 0", (f"-{days}",)
        )
    return cursor.rowcount
