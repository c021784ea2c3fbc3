"""Schema changes that came after the first release, run at every start; each is recorded in `_migrations`.

A migration asks what is there (`PRAGMA table_info`, `sqlite_master`) before it changes anything, because some
installations got the change by hand.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass


class MigrationError(Exception):
    """A migration could not be applied; the app must not start."""


@dataclass(frozen=True, slots=True)
class Migration:
    id: str
    description: str
    apply: Callable[[sqlite3.Connection], None]


def table_exists(conn: sqlite3.Connection, name: str) -> bool:
    cursor = conn.execute("SELECT name FROM sqlite_master WHERE type='table' AND name=?", (name,))
    return cursor.fetchone() is not None


def column_names(conn: sqlite3.Connection, table: str) -> list[str]:
    return [row[1] for row in conn.execute(f"PRAGMA table_info({table})").fetchall()]


def add_column(conn: sqlite3.Connection, table: str, column: str, declaration: str) -> None:
    if column not in column_names(conn, table):
        conn.execute(f"ALTER TABLE {table} ADD COLUMN {column} {declaration}")


def _feedback(conn: sqlite3.Connection) -> None:
    add_column(conn, "messages", "feedback", "INTEGER")
    add_column(conn, "messages", "is_flagged", "BOOLEAN DEFAULT 0")


def _report_tags(conn: sqlite3.Connection) -> None:
    add_column(conn, "saved_reports", "tags", "TEXT DEFAULT '[]'")
    conn.execute("UPDATE saved_reports SET updated_at = created_at WHERE updated_at IS NULL")


def _prompt_notes(conn: sqlite3.Connection) -> None:
    if table_exists(conn, "llm_prompts"):
        add_column(conn, "llm_prompts", "notes", "TEXT")
    conn.execute("CREATE INDEX IF NOT EXISTS idx_llm_costs_model ON llm_costs(model_id)")


def _cost_currency(conn: sqlite3.Connection) -> None:
    add_column(conn, "llm_costs", "currency", "TEXT DEFAULT 'USD'")


def _conversation_rating(conn: sqlite3.Connection) -> None:
    add_column(conn, "conversations", "rating", "REAL")
    add_column(conn, "conversations", "is_shared", "BOOLEAN DEFAULT FALSE")
    conn.execute("UPDATE conversations SET rating = 5.0 WHERE id IN (SELECT MIN(id) FROM conversations)")


MIGRATIONS = (
    Migration("001_message_feedback", "thumbs up and down on answers", _feedback),
    Migration("002_report_tags", "tags on saved reports", _report_tags),
    Migration("003_prompt_notes", "notes on prompts, index for cost reports", _prompt_notes),
    Migration("004_cost_currency", "costs say their currency", _cost_currency),
)
#: Belongs to the release that is deployed while the app is being shadowed.
NEXT_RELEASE = (Migration("005_conversation_rating", "ratings and sharing of conversations", _conversation_rating),)


def _done(conn: sqlite3.Connection) -> set[str]:
    return {row["id"] for row in conn.execute("SELECT id FROM _migrations")}


def run_migrations(conn: sqlite3.Connection, migrations: tuple[Migration, ...] = MIGRATIONS) -> list[str]:
    """Apply what is missing, in order; returns the ids applied. Raises `MigrationError`."""
    if not table_exists(conn, "_migrations"):
        raise MigrationError("table _migrations is missing: the file was not created by this app")
    applied: list[str] = []
    if {migration.id for migration in migrations} <= _done(conn):
        return applied
    for migration in migrations:
        try:
            # Several processes start at once, and ALTER TABLE outside a transaction does not wait for a busy writer.
            conn.execute("BEGIN IMMEDIATE")
            if migration.id in _done(conn):
                conn.rollback()
                continue
            migration.apply(conn)
            conn.execute(
                "INSERT INTO _migrations (id, description) VALUES (?, ?)", (migration.id, migration.description)
            )
            conn.commit()
        except sqlite3.Error as error:
            conn.rollback()
            raise MigrationError(f"{migration.id}: {error}") from error
        applied.append(migration.id)
    return applied
