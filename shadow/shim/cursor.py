"""The cursor that apps get: sqlite3's own, with the three methods that run statements routed.

No fetch method is overridden: rows that SQLite gives cost nothing. A read with the hint at "sqlite" goes the short
way; everything else is `shim.session`'s.
"""

from __future__ import annotations

from typing import Any

from . import script
from .classify import Kind, classify
from .classify import known as _known
from .plain import PlainCursor
from .routing import GO_SQLITE, STATE

_execute = PlainCursor.execute
executemany = PlainCursor.executemany
_executescript = PlainCursor.executescript


class InstanceOfEither(type):
    """`isinstance(x, shadow.sqlite3.Cursor)` holds for sqlite3's own objects too: pass-through connections."""

    _stands_for: type | None = None

    def __instancecheck__(cls, instance: object) -> bool:
        own = cls.__dict__.get("_stands_for")
        return type.__instancecheck__(cls, instance) or (own is not None and isinstance(instance, own))

    def __subclasscheck__(cls, subclass: type) -> bool:
        own = cls.__dict__.get("_stands_for")
        return type.__subclasscheck__(cls, subclass) or (own is not None and issubclass(subclass, own))


class Cursor(PlainCursor, metaclass=InstanceOfEither):
    """A cursor on a shadowed (or any) connection."""

    _stands_for = PlainCursor

    def execute(self, sql: str, parameters: Any = (), /) -> Any:
        try:
            session = self.connection._shadow  # type: ignore[attr-defined]
        except AttributeError:
            session = None
        if session is None or not isinstance(sql, str):
            return _execute(self, sql, parameters)
        statement = _known(sql)
        if statement is None:
            statement = classify(sql)
        if statement.plain_read and session.view[STATE] == GO_SQLITE:
            session.clock.now = None
            session.touched = True
            _execute(self, sql, parameters)
            sampler = session.router.sampler
            if sampler is not None:
                if session.foreign:
                    session.offer(statement, parameters)
                else:
                    sampler.offer(statement, parameters)
            return self
        return session.execute(self, statement, sql, parameters)

    def executemany(self, sql: str, seq_of_parameters: Any, /) -> Any:
        session = getattr(self.connection, "_shadow", None)
        if session is None or not isinstance(sql, str):
            return executemany(self, sql, seq_of_parameters)
        statement = classify(sql)
        if statement.kind is not Kind.WRITE or not statement.python_dml or statement.returning:
            return executemany(self, sql, seq_of_parameters)  # which refuses it
        return session.execute_many(self, statement, sql, seq_of_parameters)

    def executescript(self, sql_script: str, /) -> Any:
        session = getattr(self.connection, "_shadow", None)
        if session is None or not isinstance(sql_script, str) or "\0" in sql_script:
            return _executescript(self, sql_script)
        return script.run(session, self, sql_script)


_combined: dict[type, type] = {}


def combined(own: type) -> type:
    """An app's cursor class that derives from sqlite3's: ours stands between the two."""
    if type.__subclasscheck__(Cursor, own):
        return own
    known = _combined.get(own)
    if known is None:
        known = _combined[own] = InstanceOfEither(
            own.__name__, (own, Cursor), {"__module__": own.__module__, "__doc__": own.__doc__}
        )
    return known
