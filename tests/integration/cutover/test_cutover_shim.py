"""The flag turns under apps that use the real shim, with the real applier in both directions."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from flagging import FlagPair, apply_all, cut_over

from shadow import sqlite3
from shadow.cutover.outcome import Result
from shadow.cutover.reconcile import reconcile
from shadow.cutover.rollback import rollback


def test_one_connection_goes_there_and_back(pair: FlagPair) -> None:
    """Ids, tables made on either side, an app's trigger, and values: as if there had been one database."""
    app = sqlite3.connect(pair.path)
    ids = []
    for _ in range(2):
        with app:
            ids.append(app.execute("INSERT INTO account (owner) VALUES (?)", (f"s{len(ids)}",)).lastrowid)
        assert cut_over(pair).result is Result.DONE
        with app:
            ids.append(app.execute("INSERT INTO account (owner) VALUES (?)", (f"p{len(ids)}",)).lastrowid)
            app.execute(f"CREATE TABLE made{len(ids)} (id INTEGER PRIMARY KEY, v REAL DEFAULT 1)")
            app.execute(f"INSERT INTO made{len(ids)} (v) VALUES (?)", (2,))
            app.execute("ALTER TABLE account ADD COLUMN extra" + str(len(ids)) + " TEXT DEFAULT 'd'")
        outcome = rollback(pair.settings)
        assert (outcome.result, outcome.why) == (Result.DONE, "")
    with app:
        ids.append(app.execute("INSERT INTO account (owner) VALUES ('end')").lastrowid)
    assert ids == sorted(set(ids))
    assert app.execute("SELECT * FROM account ORDER BY id").fetchall() == [
        (ids[0], "s0", 0, "d", "d"),
        (ids[1], "p1", 0, "d", "d"),
        (ids[2], "s2", 0, "d", "d"),
        (ids[3], "p3", 0, "d", "d"),
        (ids[4], "end", 0, "d", "d"),
    ]
    assert app.execute("SELECT v FROM made2 UNION ALL SELECT v FROM made4").fetchall() == [(2.0,), (2.0,)]
    app.close()
    apply_all(pair)
    pair.same("account", "id, owner, balance, extra2, extra4")
    pair.same("made4", "id, v")
    assert pair.target("SELECT count(*) FROM shadow.dirty") == [(0,)]


@contextmanager
def load(pair: FlagPair, work: Callable[[sqlite3.Connection, int], None], threads: int = 3) -> Iterator[list[int]]:
    """Threads that do `work` with a connection per call; gives how often each was acknowledged."""
    done, failures, ended = [0] * threads, [], threading.Event()

    def loop(number: int) -> None:
        try:
            while not ended.is_set():
                conn = sqlite3.connect(pair.path, timeout=30)
                try:
                    work(conn, number + 1)
                finally:
                    conn.close()
                done[number] += 1
                ended.wait(0.005)
        except BaseException as error:
            failures.append(error)
            raise

    running = [threading.Thread(target=loop, args=(n,)) for n in range(threads)]
    for thread in running:
        thread.start()
    try:
        yield done
    finally:
        ended.set()
        for thread in running:
            thread.join()
    assert failures == []


def test_the_app_sees_no_error_while_the_flag_turns_four_times(pair: FlagPair) -> None:
    """Transactions that read before they write, as Django makes them, included; every acknowledged one counts once."""
    setup = sqlite3.connect(pair.path)
    with setup:
        setup.executemany("INSERT INTO account (id, owner) VALUES (?, ?)", [(n, f"o{n}") for n in (1, 2, 3)])
    setup.close()

    def work(conn: sqlite3.Connection, number: int) -> None:
        conn.isolation_level = None
        conn.execute("BEGIN IMMEDIATE")
        (balance,) = conn.execute("SELECT balance FROM account WHERE id = ?", (number,)).fetchone()
        conn.execute("UPDATE account SET balance = ? WHERE id = ?", (balance + 1, number))
        conn.execute("INSERT INTO log (text) VALUES (?)", (f"w{number}",))
        conn.execute("COMMIT")

    with load(pair, work) as done:
        for switch in (lambda: cut_over(pair), lambda: rollback(pair.settings)) * 2:
            before = list(done)
            outcome = switch()
            assert (outcome.result, outcome.why) == (Result.DONE, "")
            while any(now == then for now, then in zip(done, before, strict=True)):
                threading.Event().wait(0.005)
        settled = reconcile(pair.settings)
        assert settled is not None
        assert settled.action == ""
    apply_all(pair)
    balances = [n for n, _ in pair.same("account", "balance, id", "id")]
    assert balances == done
    assert len(pair.same("log", "id, text")) == sum(done)
