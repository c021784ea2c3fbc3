"""Settings of the installation, and the questions that are offered to users."""

from __future__ import annotations

from .database import Json, get_connection, get_db


def get_setting(key: str, default: str | None = None) -> str | None:
    conn = get_connection()
    try:
        row = conn.execute("SELECT value FROM settings WHERE key = ?", (key,)).fetchone()
        return row["value"] if row else default
    finally:
        conn.close()


def set_setting(key: str, value: str | None) -> None:
    with get_db() as conn:
        conn.execute(
            "INSERT OR REPLACE INTO settings (key, value, updated_at) VALUES (?, ?, CURRENT_TIMESTAMP)", (key, value)
        )


def upsert_setting(key: str, value: str) -> None:
    """The newer half of the code base writes it the other way."""
    with get_db() as conn:
        conn.execute(
            "INSERT INTO settings (key, value) VALUES (?, ?)"
            " ON CONFLICT(key) DO UPDATE SET value = excluded.value, updated_at = CURRENT_TIMESTAMP",
            (key, value),
        )


def all_settings(prefix: str = "") -> dict[str, str | None]:
    with get_db() as conn:
        rows = conn.execute("SELECT key, value FROM settings WHERE key LIKE ? ORDER BY key", (prefix + "%",))
        return {row["key"]: row["value"] for row in rows}


def delete_setting(key: str) -> bool:
    with get_db() as conn:
        cursor = conn.execute("DELETE FROM settings WHERE key = ?", (key,))
        return cursor.rowcount > 0


def add_questions(datasource_id: int, questions: list[str], category: str | None) -> int:
    with get_db() as conn:
        cursor = conn.cursor()
        cursor.executemany(
            "INSERT OR IGNORE INTO suggested_questions (datasource_id, question, category) VALUES (?, ?, ?)",
            [(datasource_id, question, category) for question in questions],
        )
        return cursor.rowcount


def replace_question(datasource_id: int, question: str, category: str) -> int | None:
    with get_db() as conn:
        cursor = conn.execute(
            "INSERT OR REPLACE INTO suggested_questions (datasource_id, question, category) VALUES (?, ?, ?)",
            (datasource_id, question, category),
        )
        return cursor.lastrowid


def suggest(datasource_id: int, limit: int) -> list[Json]:
    with get_db() as conn:
        rows = conn.execute(
            "SELECT id, question, category, usage_count FROM suggested_questions"
            " WHERE datasource_id = ? AND is_active = TRUE ORDER BY usage_count DESC, id LIMIT ?",
            (datasource_id, limit),
        ).fetchall()
    return [dict(row) for row in rows]


def use_question(question_id: int) -> Json | None:
    """Counted and read back in one transaction."""
    with get_db() as conn:
        conn.execute("UPDATE suggested_questions SET usage_count = usage_count + 1 WHERE id = ?", (question_id,))
        row = conn.execute("SELECT id, usage_count FROM suggested_questions WHERE id = ?", (question_id,)).fetchone()
        return dict(row) if row else None


def categories() -> list[Json]:
    with get_db() as conn:
        rows = conn.execute(
            "SELECT category, COUNT(*), SUM(usage_count) FROM suggested_questions GROUP BY category ORDER BY category"
        ).fetchall()
    return [dict(row) for row in rows]


def deactivate_unused(datasource_id: int) -> int:
    with get_db() as conn:
        return conn.execute(
            "UPDATE suggested_questions SET is_active = 0"
            " WHERE datasource_id = ? AND usage_count = 0 AND NOT category IS NULL"
            " AND created_at < date('now', '-30 days')",
            (datasource_id,),
        ).rowcount
