"""Our tables do not show: questions to SQLite's catalog go to TEMP views of it without `_shadow_*`.

The redirect replaces the name in the text, token by token, and is kept per text. `PRAGMA table_list` becomes the
same question to its table-valued form. Inspection tools and `iterdump` go through here like everybody.
"""

from __future__ import annotations

import sqlite3

from .classify import Kind, Statement
from .plain import PlainCursor
from .tokens import T

_OURS = "LIKE '\\_shadow\\_%' ESCAPE '\\'"
_VIEWS = {
    "_shadow_master": "SELECT type, name, tbl_name, rootpage, sql FROM main.sqlite_master"
    f" WHERE name NOT {_OURS} AND tbl_name NOT {_OURS}",
    "_shadow_temp_master": "SELECT type, name, tbl_name, rootpage, sql FROM temp.sqlite_master"
    f" WHERE name NOT {_OURS} AND tbl_name NOT {_OURS}",
    "_shadow_table_list": f"SELECT * FROM pragma_table_list WHERE name NOT {_OURS}",
}
_VIEW_OF = {
    "sqlite_master": "_shadow_master",
    "sqlite_schema": "_shadow_master",
    "sqlite_temp_master": "_shadow_temp_master",
    "sqlite_temp_schema": "_shadow_temp_master",
    "pragma_table_list": "_shadow_table_list",
}
_TABLE_LIST = f"SELECT schema, name, type, ncol, wr, strict FROM pragma_table_list WHERE name NOT {_OURS}"

_rewritten: dict[Statement, str] = {}


def concerns(statement: Statement) -> bool:
    """Whether the answer could name a table of ours."""
    return bool(statement.catalog) or (statement.kind is Kind.PRAGMA and statement.name == "table_list")


def rewrite(conn: sqlite3.Connection, statement: Statement) -> str:
    """The text to run instead; the views it needs exist afterwards."""
    if statement.kind is Kind.PRAGMA:
        if "(" in statement.sql or "=" in statement.sql:
            return statement.sql  # asks for one table by name
        if statement.schema is None:
            return _TABLE_LIST
        literal = statement.schema.replace("'", "''")
        return f"{_TABLE_LIST} AND lower(schema) = '{literal}'"
    text = _rewritten.get(statement)
    if text is None:
        text = _replace(statement)
        if len(_rewritten) > 500:
            _rewritten.clear()
        _rewritten[statement] = text
    for name, query in _VIEWS.items():
        if name in text:
            PlainCursor(conn).execute(f"CREATE TEMP VIEW IF NOT EXISTS {name} AS {query}")
    return text


def _replace(statement: Statement) -> str:
    sql, tokens = statement.sql, statement.tokens
    out: list[str] = []
    at = 0
    for index, token in enumerate(tokens):
        spot = next((c for c in statement.catalog if c[0] == token.start), None)
        if spot is None:
            continue
        start, end, name = spot
        view = _VIEW_OF[name]
        follows = tokens[index + 1].value if index + 1 < len(tokens) else ""
        if follows == "(" or (index and tokens[index - 1].value == "AS"):
            continue  # a table-valued call with an argument names its table; an alias is the app's own word
        if index >= 2 and tokens[index - 1].value == "." and tokens[index - 2].kind in (T.WORD, T.QUOTED):
            schema = tokens[index - 2].value.lower()
            if schema == "temp":
                view = "_shadow_temp_master"
            elif schema != "main":
                continue
            start = tokens[index - 2].start
        out += [sql[at:start], "temp.", view] if not _is_column_prefix(statement, index) else [sql[at:start], view]
        at = end
    return "".join(out) + sql[at:]


def _is_column_prefix(statement: Statement, index: int) -> bool:
    """`sqlite_master.name`: the table's name in front of a column's."""
    tokens = statement.tokens
    return index + 1 < len(tokens) and tokens[index + 1].value == "."
