"""The app's process stays light: what `from shadow import sqlite3` brings with it, seen from a fresh process."""

from __future__ import annotations

import json
import subprocess
import sys

HEAVY = (
    "fastapi",
    "typer",
    "rich",
    "uvicorn",
    "pydantic",
    "prometheus_client",
    "sqlglot",
    "psycopg2",
    "structlog",
    "jinja2",
)

PROBE = """
import json, sys, threading, os
before = set(sys.modules)
from shadow import sqlite3
loaded = {name.partition(".")[0] for name in set(sys.modules) - before}
tasks = len(os.listdir("/proc/self/task")) if os.path.exists("/proc/self/task") else 1
print(json.dumps({"loaded": sorted(loaded), "threads": threading.active_count(), "tasks": tasks}))
"""


def probe(code: str = PROBE) -> dict[str, object]:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


def test_importing_the_door_loads_nothing_heavy() -> None:
    loaded = probe()["loaded"]
    assert isinstance(loaded, list)
    assert sorted(set(loaded) & set(HEAVY)) == []


def test_importing_the_door_starts_no_thread() -> None:
    answer = probe()
    assert answer["threads"] == 1
    assert answer["tasks"] == 1


def test_a_connection_to_a_file_that_is_not_shadowed_loads_nothing_heavy_either() -> None:
    code = PROBE.replace(
        "loaded =", "conn = sqlite3.connect(':memory:'); conn.execute('CREATE TABLE t (a)'); conn.close()\nloaded ="
    )
    loaded = probe(code)["loaded"]
    assert isinstance(loaded, list)
    assert sorted(set(loaded) & set(HEAVY)) == []
