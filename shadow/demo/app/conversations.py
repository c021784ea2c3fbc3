"""Conversations and their messages: the busiest tables of the app."""

from __future__ import annotations

import json

from .database import Json, get_connection, get_db


def create_conversation(datasource_id: int | None, title: str | None) -> int | None:
    conn = get_connection()
    cursor = conn.cursor()
    cursor.execute("INSERT INTO conversations (datasource_id, title) VALUES (?, ?)", (datasource_id, title))
    conn.commit()
    conversation_id = cursor.lastrowid
    conn.close()
    return conversation_id


def list_conversations(limit: int = 20, offset: int = 0) -> list[Json]:
    """Limit -1 means all of them."""
    with get_db() as conn:
        rows = conn.execute(
            "SELECT id, datasource_id, title, message_count, is_archived, created_at, updated_at FROM conversations"
            " WHERE is_archived = 0 ORDER BY updated_at DESC, id DESC LIMIT ? OFFSET ?",
            (limit, offset),
        ).fetchall()
    return [dict(row) for row in rows]


def get_conversation(conversation_id: int) -> Json | None:
    conn = get_connection()
    try:
        row = conn.execute("SELECT * FROM conversations WHERE id = ?", (conversation_id,)).fetchone()
        if row is None:
            return None
        result = dict(row)
        result["messages"] = [
            dict(message)
            for message in conn.execute(
                "SELECT id, role, content, sql_query, metadata, latency_ms, feedback, created_at"
                " FROM messages WHERE conversation_id = ? ORDER BY created_at, id",
                (conversation_id,),
            )
        ]
        return result
    finally:
        conn.close()


def add_message(
    conversation_id: int, role: str, content: str, latency_ms: float | None = None, metadata: Json | None = None
) -> int | None:
    """One message and the counter of its conversation, in one transaction."""
    conn = get_connection()
    try:
        cursor = conn.cursor()
        cursor.execute(
            "INSERT INTO messages (conversation_id, role, content, latency_ms, metadata) VALUES (?, ?, ?, ?, ?)",
            (conversation_id, role, content, latency_ms, json.dumps(metadata) if metadata else None),
        )
        message_id = cursor.lastrowid
        cursor.execute(
            "UPDATE conversations SET message_count = message_count + 1, updated_at = CURRENT_TIMESTAMP WHERE id = ?",
            (conversation_id,),
        )
        conn.commit()
        return message_id
    except Exception:
        conn.rollback()
        raise
    finally:
        conn.close()


def add_exchange(conversation_id: int, question: str, answer: str) -> tuple[int | None, int | None]:
    """Question and answer, with `with conn:` as the transaction."""
    conn = get_connection()
    try:
        with conn:
            asked = conn.execute(
                "INSERT INTO messages (conversation_id, role, content) VALUES (?, 'user', ?)",
                (conversation_id, question),
            )
            answered = conn.execute(
                "INSERT INTO messages (conversation_id, role, content, sql_query)"
                " VALUES (:conversation, 'assistant', :answer, :query)",
                {"conversation": conversation_id, "answer": answer, "query": "SELECT 'what?', '100%' -- :name ?"},
            )
            conn.execute(
                "UPDATE conversations SET message_count = message_count + 2, updated_at = datetime('now') WHERE id = ?",
                (conversation_id,),
            )
        return asked.lastrowid, answered.lastrowid
    finally:
        conn.close()


def import_messages(conversation_id: int, messages: list[tuple[str, str]]) -> int:
    with get_db() as conn:
        cursor = conn.executemany(
            "INSERT INTO messages (conversation_id, role, content) VALUES (?, ?, ?)",
            [(conversation_id, role, content) for role, content in messages],
        )
        conn.execute(
            "UPDATE conversations SET message_count = (SELECT COUNT(*) FROM messages WHERE conversation_id = ?)"
            " WHERE id = ?",
            (conversation_id, conversation_id),
        )
        return cursor.rowcount


def recent_context(conversation_id: int, limit: int) -> list[Json]:
    """The last messages, oldest first: a subquery in reverse order."""
    with get_db() as conn:
        rows = conn.execute(
            "SELECT * FROM (SELECT id, role, content FROM messages WHERE conversation_id = ? ORDER BY id DESC LIMIT ?)"
            " ORDER BY id",
            (conversation_id, limit),
        ).fetchall()
    return [{"role": row[1], "content": row[2], "rest": list(row[0:2])} for row in rows]


def set_feedback(message_id: int, feedback: int, flagged: bool) -> bool:
    conn = get_connection()
    cursor = conn.execute(
        "UPDATE messages SET feedback = ?, is_flagged = ? WHERE id = ?", (feedback, flagged, message_id)
    )
    conn.commit()
    conn.close()
    return cursor.rowcount == 1


def flagged_messages() -> list[Json]:
    with get_db() as conn:
        rows = conn.execute(
            "SELECT id, conversation_id, feedback FROM messages WHERE is_flagged = 1 ORDER BY id DESC LIMIT 30"
        ).fetchall()
    return [dict(row) for row in rows]


def search_messages(text: str) -> list[Json]:
    with get_db() as conn:
        rows = conn.execute(
            "SELECT m.id, m.conversation_id, SUBSTR(m.content, 1, 60) AS snippet, v.title FROM messages m"
            " JOIN conversations v ON v.id = m.conversation_id WHERE m.content LIKE ? ORDER BY m.id DESC LIMIT 20",
            (f"%{text}%",),
        ).fetchall()
    return [dict(row) for row in rows]


def archive_old(days: int) -> int:
    with get_db() as conn:
        return conn.execute(
            "UPDATE conversations SET is_archived = 1 WHERE is_archived = 0 AND updated_at < datetime('now', ?)",
            (f"-{days} days",),
        ).rowcount


def rename_conversation(conversation_id: int, title: str) -> int:
    with get_db() as conn:
        return conn.execute(
            "UPDATE conversations SET title = ?, updated_at = CURRENT_TIMESTAMP WHERE id = ?", (title, conversation_id)
        ).rowcount


def delete_conversation(conversation_id: int) -> int:
    """By hand what the declared key would do if it were enforced."""
    with get_db() as conn:
        cursor = conn.execute("DELETE FROM messages WHERE conversation_id = ?", (conversation_id,))
        conn.execute("DELETE FROM conversations WHERE id = ?", (conversation_id,))
        return cursor.rowcount


def delete_empty_conversations() -> int:
    """Those without messages; whoever just opened one and has not written yet keeps it for a day."""
    with get_db() as conn:
        return conn.execute(
            "DELETE FROM conversations WHERE id NOT IN (SELECT DISTINCT conversation_id FROM messages)"
            " AND created_at < datetime('now', '-1 day')"
        ).rowcount


def messages_per_day(days: int) -> list[Json]:
    with get_db() as conn:
        rows = conn.execute(
            """
            SELECT DATE(created_at) AS day, role, COUNT(*) AS n, AVG(latency_ms) AS latency,
                   SUM(CASE WHEN feedback > 0 THEN 1 ELSE 0 END) AS liked
            FROM messages
            WHERE created_at >= datetime('now', ? || ' days')
            GROUP BY DATE(created_at), role
            ORDER BY day DESC, role
            """,
            (f"-{days}",),
        ).fetchall()
    return [dict(row) for row in rows]


def totals() -> Json:
    with get_db() as conn:
        row = conn.execute(
            "SELECT COUNT(*), COALESCE(SUM(message_count), 0), MAX(updated_at) FROM conversations"
        ).fetchone()
    return {"conversations": row[0], "messages": row[1], "latest": row[2]}


def forgotten_draft(conversation_id: int, content: str) -> None:
    """A request handler that dies half way: the transaction is left to the garbage collector, which rolls it back."""
    conn = get_connection()
    conn.execute(
        "INSERT INTO messages (conversation_id, role, content) VALUES (?, 'system', ?)", (conversation_id, content)
    )
