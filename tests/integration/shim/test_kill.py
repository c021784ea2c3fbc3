"""`kill -9` at random moments: data without its record, or a record without its data, is never found."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from shadow import journal

from .conftest import File
from .replay import Replica, content

SCHEMA = """
CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, a TEXT, n INTEGER, at TEXT DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE plain (a, b);
"""

#: A writer that uses every way to commit, as fast as it can. It prints a line once it writes.
WRITER = """
import sys
import shadow
from shadow import sqlite3
path, number = sys.argv[1], int(sys.argv[2])
shadow.configure(sqlite_path=path, database_url="postgresql://nobody@127.0.0.1:1/nothing", sample_rate=0)
conn = sqlite3.connect(path, timeout=60)
i = 0
while True:
    i += 1
    conn.execute("INSERT INTO t (a, n) VALUES (?, ?)", (f"{number}-{i}", 0))
    conn.execute("UPDATE t SET n = n + 1 WHERE id % 7 = ?", (i % 7,))
    conn.commit()
    conn.isolation_level = None
    conn.execute("INSERT INTO plain VALUES (?, randomblob(4))", (i,))
    conn.executemany("INSERT INTO plain VALUES (?, ?)", [(i, k) for k in range(3)])
    conn.isolation_level = ""
    with conn:
        conn.execute("DELETE FROM plain WHERE a < ?", (i - 5,))
        conn.execute("INSERT INTO plain SELECT a, n FROM t WHERE id > (SELECT max(id) - 2 FROM t)")
    conn.executescript("BEGIN; INSERT INTO t (a, n) VALUES ('big', zeroblob(400000)); SAVEPOINT s;"
                       "INSERT INTO t (a) VALUES (hex(zeroblob(900000))); ROLLBACK TO s;"
                       "DELETE FROM t WHERE a = 'big'; COMMIT")
    if i == 2:
        print("writing", flush=True)
"""


@pytest.mark.parametrize("seed", range(3))
def test_killed_writers_leave_data_and_records_that_agree(make_file: object, seed: int, tmp_path: Path) -> None:
    file: File = make_file(SCHEMA)  # type: ignore[operator]
    chance = random.Random(seed)
    replica = Replica(SCHEMA)
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    for _ in range(4):
        writers = [
            subprocess.Popen([sys.executable, "-c", WRITER, str(file.path), str(n)], stdout=subprocess.PIPE, env=env)
            for n in range(2)
        ]
        for writer in writers:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"writing\n"
        time.sleep(chance.random() * 0.3)  # the moment of death is the random input of this test
        for writer in writers:
            writer.send_signal(signal.SIGKILL)
            writer.wait()
            assert writer.stdout is not None
            writer.stdout.close()
        replica.apply(file.records())
        reader = file.raw()
        assert content(reader) == content(replica.conn)
        assert journal.head(reader)[0] > 2
        assert reader.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        reader.close()
    assert replica.undetermined == []


def test_threads_with_connections_of_their_own_leave_records_in_commit_order(make_file: object) -> None:
    import threading

    from shadow import sqlite3 as door

    file: File = make_file(SCHEMA)  # type: ignore[operator]
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            conn = door.connect(file.path, timeout=60)
            for i in range(60):
                with conn:
                    conn.execute("INSERT INTO t (a, n) VALUES (?, ?)", (f"{number}-{i}", i))
                    conn.execute("UPDATE t SET n = (SELECT max(id) FROM t) WHERE id % 3 = ?", (number % 3,))
                    conn.executemany("INSERT INTO plain VALUES (?, random())", [(i,), (i,)])
            conn.close()
        except BaseException as error:  # noqa: BLE001 -- told to the test's own thread
            errors.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert errors == []
    replica = Replica(SCHEMA)
    records = file.records()
    assert len(records) == 6 * 60
    replica.apply(records)
    reader = file.raw()
    assert content(reader) == content(replica.conn)
    reader.close()
