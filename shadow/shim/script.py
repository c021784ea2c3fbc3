"""executescript: COMMIT first, then each statement by itself, none of Python's implicit transactions.

Each statement goes the way that any statement goes, so its writes are recorded and its COMMIT is seen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .classify import Kind, Statement, classify, split
from .plain import PlainCursor, has_legacy_transactions, in_transaction
from .session import Session

if TYPE_CHECKING:
    from .cursor import Cursor


def run(session: Session, cursor: Cursor, text: str) -> Cursor:
    """Run a script as sqlite3 does."""
    conn = cursor.connection
    if has_legacy_transactions(conn) and (in_transaction(conn) or session.remote_open):
        conn.commit()
    PlainCursor.executescript(cursor, "")  # refuses a closed cursor or another thread, and does nothing else
    for sql in split(text):
        statement = classify(sql)
        worker = _worker(cursor)
        session.in_script = True
        try:
            session.execute(worker, statement, sql, _nulls(statement))
            if statement.kind in (Kind.READ, Kind.PRAGMA, Kind.EXPLAIN) or statement.returning:
                for _ in worker:
                    pass
        finally:
            session.in_script = False
            worker.close()
    return cursor


def _worker(cursor: Cursor) -> Cursor:
    """The statements of a script leave the app's cursor as it was."""
    from .cursor import Cursor as Plain

    return Plain(cursor.connection)


def _nulls(statement: Statement) -> tuple[None, ...]:
    """Variables in a script are NULL."""
    numbered = [int(v[1:]) for v in statement.variables if v[:1] == "?" and len(v) > 1]
    return (None,) * max([len(statement.variables), *numbered])
