"""Background jobs that read a customer's catalogue, and data sets (named groups of tables)."""

from __future__ import annotations

import json

from .database import Json, get_connection, get_db


def enqueue(datasource_id: int, job_type: str, total_steps: int) -> int | None:
    with get_db() as conn:
        cursor = conn.execute(
            "INSERT INTO catalog_jobs (datasource_id, job_type, total_steps) VALUES (?, ?, ?)",
            (datasource_id, job_type, total_steps),
        )
    return cursor.lastrowid


def next_pending() -> Json | None:
    with get_db() as conn:
        row = conn.execute(
            "SELECT id, job_type, total_steps FROM catalog_jobs WHERE status = 'pending' AND job_type = 'sync'"
            " ORDER BY id LIMIT 1"
        ).fetchone()
    return dict(row) if row else None


def claim(job_id: int, worker: str) -> bool:
    """One worker gets the job: whose UPDATE changed the row."""
    conn = get_connection()
    try:
        cursor = conn.execute(
            "UPDATE catalog_jobs SET status = 'running', claimed_by = ?, started_at = CURRENT_TIMESTAMP"
            " WHERE id = ? AND status = 'pending'",
            (worker, job_id),
        )
        conn.commit()
        return cursor.rowcount == 1
    finally:
        conn.close()


def claim_exclusively(worker: str, job_type: str) -> int | None:
    """Look and take under the write lock from the start."""
    conn = get_connection()
    conn.isolation_level = None
    try:
        conn.execute("BEGIN IMMEDIATE")
        row = conn.execute(
            "SELECT id FROM catalog_jobs WHERE status = 'pending' AND job_type = ? ORDER BY id DESC LIMIT 1",
            (job_type,),
        ).fetchone()
        if row is None:
            conn.execute("ROLLBACK")
            return None
        conn.execute(
            "UPDATE catalog_jobs SET status = 'running', claimed_by = ?, started_at = datetime('now') WHERE id = ?",
            (worker, row[0]),
        )
        conn.execute("COMMIT")
        return int(row[0])
    finally:
        conn.close()


def report_progress(job_id: int, line: str) -> int:
    """A step done: the counter, the share, and a line at the end of the log."""
    with get_db() as conn:
        return conn.execute(
            "UPDATE catalog_jobs SET current_step = current_step + 1,"
            " progress = ROUND((current_step + 1) * 100.0 / MAX(total_steps, 1), 1),"
            " log = COALESCE(log, '') || ? WHERE id = ?",
            (line, job_id),
        ).rowcount


def finish(job_id: int, error: str | None = None) -> None:
    with get_db() as conn:
        conn.execute(
            "UPDATE catalog_jobs SET status = ?, error = ?, progress = CASE WHEN ? IS NULL THEN 100 ELSE progress END,"
            " finished_at = CURRENT_TIMESTAMP WHERE id = ?",
            ("failed" if error else "completed", error, error, job_id),
        )


def job_status(job_id: int) -> Json | None:
    with get_db() as conn:
        row = conn.execute(
            "SELECT id, status, progress, current_step, total_steps, claimed_by, error,"
            " CAST((julianday(finished_at) - julianday(started_at)) * 86400 AS INTEGER) AS seconds"
            " FROM catalog_jobs WHERE id = ?",
            (job_id,),
        ).fetchone()
    return dict(row) if row else None


def recent_jobs(limit: int) -> list[Json]:
    with get_db() as conn:
        rows = conn.execute(
            "SELECT j.id, j.job_type, j.status, j.progress, j.created_at, d.name AS datasource FROM catalog_jobs j"
            " LEFT JOIN datasources d ON d.id = j.datasource_id ORDER BY j.id DESC LIMIT ?",
            (limit,),
        ).fetchall()
    return [dict(row) for row in rows]


def job_counts() -> dict[str, int]:
    with get_db() as conn:
        rows = conn.execute("SELECT status, COUNT(*) FROM catalog_jobs GROUP BY status")
        return {row[0]: row[1] for row in rows}


def cancel_stuck(hours: int) -> int:
    with get_db() as conn:
        return conn.execute(
            "UPDATE catalog_jobs SET status = 'cancelled', error = 'stuck'"
            " WHERE status IN ('pending', 'running') AND created_at < datetime('now', '-' || ? || ' hours')",
            (hours,),
        ).rowcount


def delete_finished(keep: int) -> int:
    """Keeps the newest ones of those that went well before this week."""
    with get_db() as conn:
        return conn.execute(
            "DELETE FROM catalog_jobs WHERE status = 'completed' AND finished_at < datetime('now', '-7 days')"
            " AND id NOT IN (SELECT id FROM catalog_jobs WHERE status = 'completed' ORDER BY id DESC LIMIT ?)",
            (keep,),
        ).rowcount


def create_dataset(datasource_id: int, name: str, table_ids: list[int]) -> int | None:
    """The first one of a data source becomes its default."""
    conn = get_connection()
    try:
        conn.execute("SAVEPOINT dataset")
        cursor = conn.execute(
            "INSERT OR IGNORE INTO datasets (datasource_id, name, table_ids) VALUES (?, ?, ?)",
            (datasource_id, name, json.dumps(table_ids)),
        )
        created = cursor.rowcount == 1
        if created:
            dataset_id = cursor.lastrowid
            conn.execute(
                "UPDATE datasets SET is_default = (SELECT COUNT(*) = 1 FROM datasets WHERE datasource_id = ?)"
                " WHERE id = ?",
                (datasource_id, dataset_id),
            )
        conn.execute("RELEASE dataset")
        conn.commit()
        return dataset_id if created else None
    finally:
        conn.close()


def make_default(datasource_id: int, dataset_id: int) -> None:
    with get_db() as conn:
        conn.execute("UPDATE datasets SET is_default = 0 WHERE datasource_id = ?", (datasource_id,))
        conn.execute("UPDATE datasets SET is_default = 1 WHERE id = ?", (dataset_id,))


def datasets_of(datasource_id: int) -> list[Json]:
    with get_db() as conn:
        rows = conn.execute(
            "SELECT id, name, table_ids, is_default FROM datasets WHERE datasource_id = ?"
            " ORDER BY is_default DESC, name COLLATE NOCASE",
            (datasource_id,),
        ).fetchall()
    return [{**dict(row), "table_ids": json.loads(row["table_ids"])} for row in rows]


def delete_dataset(dataset_id: int) -> bool:
    conn = get_connection()
    cursor = conn.execute("DELETE FROM datasets WHERE id = ?", (dataset_id,))
    conn.commit()
    conn.close()
    return bool(cursor.rowcount)
