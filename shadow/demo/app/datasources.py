"""Data sources and what is known of their tables and columns."""

from __future__ import annotations

from typing import Any

from . import database
from .database import Json, get_connection, get_db

UPDATABLE = ("name", "type", "connection_string", "description", "is_active")


def list_datasources(active_only: bool = False) -> list[Json]:
    conn = get_connection()
    try:
        cursor = conn.cursor()
        if active_only:
            cursor.execute("SELECT * FROM datasources WHERE is_active = 1 ORDER BY name")
        else:
            cursor.execute("SELECT * FROM datasources ORDER BY created_at DESC, id DESC")
        return [dict(row) for row in cursor.fetchall()]
    finally:
        conn.close()


def get_datasource(datasource_id: int) -> Json | None:
    conn = get_connection()
    row = conn.execute("SELECT * FROM datasources WHERE id = ?", (datasource_id,)).fetchone()
    conn.close()
    return dict(row) if row else None


def create_datasource(name: str, kind: str, description: str | None, is_active: bool = True) -> Json:
    """Returns {'id': ...} or {'error': ...} when the name is taken, as the API would answer it."""
    conn = get_connection()
    try:
        cursor = conn.execute(
            "INSERT INTO datasources (name, type, description, is_active) VALUES (?, ?, ?, ?)",
            (name, kind, description, is_active),
        )
        conn.execute("UPDATE datasources SET updated_at = CURRENT_TIMESTAMP WHERE id = ?", (cursor.lastrowid,))
        conn.commit()
        return {"id": cursor.lastrowid}  # read after a later UPDATE and the commit
    except database.sqlite3.IntegrityError as error:
        conn.rollback()
        message = str(error)
        if "UNIQUE constraint failed" in message:
            return {"error": "duplicate", "column": message.split(":", 1)[1].strip()}
        raise
    finally:
        conn.close()


def update_datasource(datasource_id: int, changes: Json) -> bool:
    """A list of assignments built from what the API was sent."""
    fields = [name for name in UPDATABLE if name in changes]
    if not fields:
        return False
    assignments = ", ".join(f"{name} = ?" for name in fields)
    values: list[Any] = [changes[name] for name in fields]
    with get_db() as conn:
        cursor = conn.execute(
            f"UPDATE datasources SET {assignments}, updated_at = CURRENT_TIMESTAMP WHERE id = ?",
            (*values, datasource_id),
        )
    return cursor.rowcount > 0  # read after close


def delete_datasource(datasource_id: int) -> int:
    """Deletes only its own row: keys are not enforced, tables and questions of it stay behind as orphans."""
    conn = get_connection()
    cursor = conn.cursor()
    cursor.execute("DELETE FROM datasources WHERE id = ?", (datasource_id,))
    conn.commit()
    conn.close()
    return cursor.rowcount


def mark_synced(datasource_id: int) -> None:
    with get_db() as conn:
        conn.execute(
            "UPDATE datasources SET last_sync_at = datetime('now'), updated_at = CURRENT_TIMESTAMP WHERE id = ?",
            (datasource_id,),
        )


def stale_datasources(days: int) -> list[Json]:
    with get_db() as conn:
        rows = conn.execute(
            "SELECT id, name, last_sync_at FROM datasources"
            " WHERE last_sync_at IS NULL OR last_sync_at < datetime('now', '-' || ? || ' days') ORDER BY id",
            (days,),
        ).fetchall()
        return [dict(row) for row in rows]


def overview() -> list[Json]:
    """Every data source with the number of its tables, columns and conversations."""
    with get_db() as conn:
        rows = conn.execute(
            """
            SELECT d.id, d.name, COUNT(DISTINCT t.id) AS table_count, COUNT(c.id) AS column_count,
                   (SELECT COUNT(*) FROM conversations v WHERE v.datasource_id = d.id) AS conversation_count
            FROM datasources d
            LEFT JOIN tables t ON t.datasource_id = d.id AND t.is_enabled = 1
            LEFT JOIN columns c ON c.table_id = t.id
            GROUP BY d.id, d.name
            ORDER BY table_count DESC, d.id
            """
        ).fetchall()
    return [dict(row) for row in rows]


def upsert_table(datasource_id: int, name: str, row_count: int | None) -> int | None:
    """A sync writes what it found: the row is replaced, gets a new id and loses what is not named here."""
    with get_db() as conn:
        cursor = conn.cursor()
        cursor.execute(
            "INSERT OR REPLACE INTO tables (datasource_id, name, row_count) VALUES (?, ?, ?)",
            (datasource_id, name, row_count),
        )
        return cursor.lastrowid


def list_tables(datasource_id: int) -> list[Json]:
    with get_db() as conn:
        rows = conn.execute("SELECT * FROM tables WHERE datasource_id = ? ORDER BY name", (datasource_id,))
        return [dict(row) for row in rows]


def disabled_tables() -> list[Json]:
    """In the order in which they were made, as SQLite keeps them: nobody wrote an ORDER BY."""
    conn = get_connection()
    rows = conn.execute("SELECT id, name FROM tables WHERE is_enabled = 0").fetchall()
    conn.close()
    return [dict(row) for row in rows]


def enabled_table_ids(datasource_id: int) -> list[int]:
    conn = get_connection()
    rows = conn.execute(
        "SELECT id FROM tables WHERE datasource_id = ? AND is_enabled = 1 ORDER BY id", (datasource_id,)
    ).fetchall()
    conn.close()
    return [row[0] for row in rows]


def toggle_table(table_id: int) -> Json | None:
    conn = get_connection()
    try:
        conn.execute("UPDATE tables SET is_enabled = NOT is_enabled WHERE id = ?", (table_id,))
        conn.commit()
        row = conn.execute("SELECT id, is_enabled FROM tables WHERE id = ?", (table_id,)).fetchone()
        return {"id": row["ID"], "is_enabled": bool(row["is_enabled"])} if row else None  # names in any case
    finally:
        conn.close()


def set_enabled(table_ids: list[int], enabled: bool) -> int:
    """An IN list as long as the request's."""
    if not table_ids:
        return 0
    marks = ",".join("?" for _ in table_ids)
    with get_db() as conn:
        cursor = conn.execute(f"UPDATE tables SET is_enabled = ? WHERE id IN ({marks})", (enabled, *table_ids))
        return cursor.rowcount


def describe_table(table_id: int, description: str) -> int:
    with get_db() as conn:
        return conn.execute(
            "UPDATE tables SET description = :description WHERE id = :id", {"description": description, "id": table_id}
        ).rowcount


def largest_tables(limit: int) -> list[Json]:
    """One old row has 'n/a' where a number belongs; SQLite sorts text after numbers."""
    with get_db() as conn:
        rows = conn.execute(
            "SELECT id, name, row_count FROM tables WHERE row_count IS NOT NULL ORDER BY row_count DESC, id LIMIT ?",
            (limit,),
        ).fetchall()
    return [dict(row) for row in rows]


def search_tables(text: str) -> list[Json]:
    pattern = f"%{text}%"
    with get_db() as conn:
        rows = conn.execute(
            "SELECT t.id, t.name, d.name AS datasource FROM tables t JOIN datasources d ON d.id = t.datasource_id"
            " WHERE t.name LIKE ? OR COALESCE(t.description, '') LIKE ? ORDER BY t.name, t.id LIMIT 50",
            (pattern, pattern),
        ).fetchall()
    return [dict(row) for row in rows]


def orphaned_tables() -> list[Json]:
    with get_db() as conn:
        rows = conn.execute(
            "SELECT t.id, t.name, t.datasource_id FROM tables t LEFT JOIN datasources d ON t.datasource_id = d.id"
            " WHERE d.id IS NULL ORDER BY t.id LIMIT 100"
        ).fetchall()
    return [dict(row) for row in rows]


def add_columns(table_id: int, columns: list[tuple[str, str, bool]]) -> int:
    with get_db() as conn:
        cursor = conn.executemany(
            "INSERT OR IGNORE INTO columns (table_id, name, data_type, is_primary_key) VALUES (?, ?, ?, ?)",
            [(table_id, name, data_type, is_key) for name, data_type, is_key in columns],
        )
        return cursor.rowcount


def list_columns(table_id: int) -> list[Json]:
    conn = get_connection()
    try:
        rows = conn.execute(
            "SELECT id, name, data_type, description, is_primary_key, is_nullable, distinct_ratio"
            " FROM columns WHERE table_id = ? ORDER BY id",
            (table_id,),
        ).fetchall()
        return [dict(row) for row in rows]
    finally:
        conn.close()


def profile_column(column_id: int, sample_values: str, distinct_ratio: float) -> int:
    with get_db() as conn:
        cursor = conn.execute(
            "UPDATE columns SET sample_values = ?, distinct_ratio = ROUND(?, 4) WHERE id = ?",
            (sample_values, distinct_ratio, column_id),
        )
    return cursor.rowcount


def column_search(text: str) -> list[Json]:
    """By name, description or synonym; a join over the whole catalogue."""
    with get_db() as conn:
        rows = conn.execute(
            """
            SELECT DISTINCT c.id, c.name, t.name AS table_name
            FROM columns c
            JOIN tables t ON t.id = c.table_id
            LEFT JOIN synonyms s ON s.column_id = c.id
            WHERE LOWER(c.name) LIKE LOWER(?) OR s.synonym LIKE ?
            ORDER BY c.id
            LIMIT 40
            """,
            (f"%{text}%", f"{text}%"),
        ).fetchall()
    return [dict(row) for row in rows]


def add_synonym(column_id: int, synonym: str) -> bool:
    with get_db() as conn:
        cursor = conn.execute("INSERT OR IGNORE INTO synonyms (column_id, synonym) VALUES (?, ?)", (column_id, synonym))
        return cursor.rowcount == 1


def synonyms_of(column_id: int) -> list[str]:
    with get_db() as conn:
        rows = conn.execute("SELECT synonym FROM synonyms WHERE column_id = ? ORDER BY synonym", (column_id,))
        return [row["synonym"] for row in rows]


def synonym_summary() -> list[Json]:
    with get_db() as conn:
        rows = conn.execute(
            "SELECT source, COUNT(*) AS n, MIN(LENGTH(synonym)) AS shortest, MAX(LENGTH(synonym)) AS longest"
            " FROM synonyms GROUP BY source HAVING COUNT(*) > 0 ORDER BY n DESC, source"
        ).fetchall()
    return [dict(row) for row in rows]


def drop_synonyms(column_id: int) -> int:
    with get_db() as conn:
        return conn.execute("DELETE FROM synonyms WHERE column_id = ?", (column_id,)).rowcount
