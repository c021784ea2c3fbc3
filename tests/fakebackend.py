"""A small backend after DataTalk's: what stands around `db.py`, written into a folder, and run as real processes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PATCH = Path(__file__).parents[1] / "backend_patch" / "db.py"

CONFIG = """
import os
from pathlib import Path

BASE_DIR = Path(__file__).parent
SQLITE_PATH = os.getenv("SQLITE_PATH", str(BASE_DIR / "data" / "catalog.db"))
SCHEMA_PATH = str(BASE_DIR / "schema.sql")
"""

SCHEMA = """
CREATE TABLE datasources (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, is_active BOOLEAN DEFAULT 1,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE tables (
    id INTEGER PRIMARY KEY AUTOINCREMENT, datasource_id INTEGER NOT NULL, name TEXT NOT NULL,
    is_enabled BOOLEAN DEFAULT TRUE, FOREIGN KEY (datasource_id) REFERENCES datasources(id),
    UNIQUE(datasource_id, name));
CREATE TABLE catalog_jobs (
    id INTEGER PRIMARY KEY AUTOINCREMENT, status TEXT CHECK(status IN ('pending', 'running', 'done')),
    progress REAL DEFAULT 0, note TEXT);
CREATE INDEX idx_tables_datasource ON tables(datasource_id);
"""

MIGRATIONS = """
import sqlite3


class MigrationError(Exception):
    pass


def run_migrations(conn):
    cursor = conn.cursor()
    cursor.execute(
        "CREATE TABLE IF NOT EXISTS _migrations ("
        " name TEXT PRIMARY KEY, applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP)")
    cursor.execute("SELECT name FROM sqlite_master WHERE type='table' AND name=?", ("catalog_jobs",))
    if not cursor.fetchone():
        raise MigrationError("the catalog has no table catalog_jobs")
    cursor.execute("PRAGMA table_info(catalog_jobs)")
    columns = [row[1] for row in cursor.fetchall()]
    if "error" not in columns:
        cursor.execute("ALTER TABLE catalog_jobs ADD COLUMN error TEXT")
        cursor.execute("INSERT INTO _migrations (name) VALUES (?)", ("001_job_error",))
        conn.commit()
"""

SERVICES = """
import json
import sqlite3

from db import get_connection, get_db


def add_datasource(name):
    conn = get_connection()
    try:
        cursor = conn.cursor()
        cursor.execute("INSERT INTO datasources (name) VALUES (?)", (name,))
        new_id = cursor.lastrowid
        conn.commit()
        return new_id
    except sqlite3.IntegrityError as error:
        conn.rollback()
        return "taken" if "UNIQUE constraint failed: datasources.name" in str(error) else repr(error)
    finally:
        conn.close()


def put_table(datasource_id, name):
    with get_db() as conn:
        conn.execute("INSERT OR REPLACE INTO tables (datasource_id, name) VALUES (?, ?)", (datasource_id, name))
        # Its own row only: writers of the same row may meet "database is locked" in SHADOW_PG_MODE=concurrent.
        conn.execute("UPDATE tables SET is_enabled = NOT is_enabled WHERE datasource_id = ?", (datasource_id,))


def listed():
    with get_db() as conn:
        rows = conn.execute(
            "SELECT d.id, d.name, d.is_active, d.created_at, COUNT(t.id) AS tables FROM datasources d"
            " LEFT JOIN tables t ON t.datasource_id = d.id GROUP BY d.id ORDER BY d.id").fetchall()
        return json.loads(json.dumps([dict(row) for row in rows]))


def work(who, count):
    ids = []
    for i in range(count):
        ids.append(add_datasource(f"{who}-{i}"))
        put_table(ids[-1], "facts")
        with get_db() as conn:
            conn.execute(
                "INSERT INTO catalog_jobs (status, progress, error) VALUES (?, ?, ?)", ("running", i / 2, None))
    return ids


def counts():
    with get_db() as conn:
        names = ("datasources", "tables", "catalog_jobs", "_migrations")
        return {name: conn.execute(f"SELECT COUNT(*) FROM {name}").fetchone()[0] for name in names}
"""


@dataclass(frozen=True, slots=True)
class Backend:
    """The folder and the environment of its processes."""

    folder: Path
    env: dict[str, str]

    @classmethod
    def write(cls, folder: Path, **environment: str) -> Backend:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in (
            ("config.py", CONFIG),
            ("schema.sql", SCHEMA),
            ("db_migrations.py", MIGRATIONS),
            ("services.py", SERVICES),
        ):
            (folder / name).write_text(text, "utf-8")
        shutil.copy(PATCH, folder / "db.py")
        dropped = ("SQLITE_PATH", "DATABASE_URL", "DATABASE_TYPE")
        clean = {k: v for k, v in os.environ.items() if k not in dropped and not k.startswith("SHADOW_")}
        return cls(folder, {**clean, **environment})

    def having(self, **environment: str) -> Backend:
        return Backend(self.folder, {**self.env, **environment})

    def without(self, *names: str) -> Backend:
        return Backend(self.folder, {k: v for k, v in self.env.items() if k not in names})

    def start(self, code: str) -> subprocess.Popen[str]:
        """A process of the backend; it prints one JSON object."""
        return subprocess.Popen(
            [sys.executable, "-c", f"import json\n{code}"],
            cwd=self.folder,
            env=self.env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, code: str) -> Any:
        """What the process printed; fails with its own words."""
        return finish(self.start(code))

    def fails(self, code: str) -> str:
        """Standard error of a process that must not succeed."""
        process = self.start(code)
        _, err = process.communicate(timeout=60)
        assert process.returncode != 0
        return err

    def shadow(self, *arguments: str, expect: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "shadow.cli", *arguments],
            env=self.env,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == expect, done.stdout + done.stderr
        return done.stdout


def finish(process: subprocess.Popen[str]) -> Any:
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return json.loads(out.splitlines()[-1])
