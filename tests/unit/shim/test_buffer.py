"""The buffer of a transaction follows SQLite's savepoints, spilled or not: checked against SQLite itself."""

from __future__ import annotations

import sqlite3
from importlib import resources

from hypothesis import given, settings
from hypothesis import strategies as st

from shadow import journal
from shadow.journal.record import Undetermined, encode_item
from shadow.shim.transaction import Buffer

ACTIONS = st.lists(
    st.one_of(
        st.just(("add",)),
        st.just(("spill",)),
        st.tuples(st.sampled_from(["savepoint", "release", "rollback to"]), st.sampled_from("ab")),
    ),
    max_size=25,
)


@settings(max_examples=300, deadline=None)
@given(ACTIONS)
def test_whatever_the_order_the_record_holds_what_sqlite_kept(actions: list[tuple[str, ...]]) -> None:
    conn = sqlite3.connect(":memory:", isolation_level=None)
    conn.executescript(resources.files("shadow.journal").joinpath("origin.sql").read_text())
    conn.execute("CREATE TABLE t (n)")
    conn.execute("BEGIN")
    buffer = Buffer()
    for n, action in enumerate(actions):
        if action[0] == "add":
            conn.execute("INSERT INTO t VALUES (?)", (n,))
            buffer.add(encode_item(Undetermined(str(n), (), "")))
        elif action[0] == "spill":
            if buffer.items:
                buffer.spill(conn)
        else:
            try:
                conn.execute(f"{action[0]} {action[1]}")
            except sqlite3.OperationalError:
                continue
            getattr(buffer, action[0].replace(" ", "_"))(action[1])
    kept = [str(n) for (n,) in conn.execute("SELECT n FROM t ORDER BY rowid")]
    if buffer.pending:
        buffer.close(conn)
    conn.execute("COMMIT")
    records = list(journal.read(conn, 0, 1 << 30))
    assert len(records) <= 1
    assert [i.sql for r in records for i in r.items] == kept  # type: ignore[union-attr]
    conn.close()


def test_the_buffer_tells_when_it_is_full() -> None:
    buffer = Buffer()
    buffer.add(b"x" * 500_000)
    assert not buffer.full
    buffer.add(b"x" * 600_000)
    assert buffer.full
    buffer.clear()
    assert not buffer.full
    assert not buffer.pending
