"""Foreign keys for connections that have asked for them (PRAGMA foreign_keys=ON) while PostgreSQL is primary.

SQLite enforces them per connection, so PostgreSQL's own constraints would do too much: triggers do it instead, and
only for sessions with `shadow.foreign_keys = on`. They are installed when such a session first writes; rows that broke
a key before are nobody's business, as in SQLite.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...translate.catalog import Catalog, ForeignKey, PgType, Table, fold
from ..tokens import T, tokenize
from .plan import not_supported

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as PgCursor

#: Rows change only for sessions that want keys.
_WANTED = "current_setting('shadow.foreign_keys', true) = 'on'"


def has_keys(catalog: Catalog) -> bool:
    return any(t.foreign_keys for t in catalog.tables.values())


def install_keys(cursor: PgCursor, catalog: Catalog) -> None:
    """Put every key's triggers on its tables; those that are there are not touched."""
    cursor.execute(
        "SELECT t.tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid"
        " WHERE c.relnamespace = to_regnamespace(quote_ident(%s)) AND t.tgname LIKE 'shadow\\_key\\_%%'",
        (catalog.pg_schema,),
    )
    present = {str(row[0]) for row in cursor.fetchall()}
    for name, sql in triggers(catalog):
        if name not in present:
            cursor.execute(sql)


def triggers(catalog: Catalog) -> Iterator[tuple[str, str]]:
    """(name, CREATE TRIGGER) of all keys. Raises `NotSupportedError` for what they cannot do."""
    for child in catalog.tables.values():
        if not child.foreign_keys:
            continue
        if any(t.kind is T.WORD and t.value == "DEFERRED" for t in tokenize(child.sql)):
            raise not_supported(f"PRAGMA foreign_keys=ON with a key of {child.name} that is INITIALLY DEFERRED")
        for key in child.foreign_keys:
            parent = catalog.table(key.parent)
            if parent is None:
                raise not_supported(
                    f"PRAGMA foreign_keys=ON with a key of {child.name} to a missing table {key.parent}"
                )
            yield from _key_triggers(catalog, child, parent, key)


def _key_triggers(catalog: Catalog, child: Table, parent: Table, key: ForeignKey) -> Iterator[tuple[str, str]]:
    from ...schema.names import pg_quote, pg_table

    targets = key.parent_columns or tuple(
        c.name for c in sorted((c for c in parent.columns if c.pk), key=lambda c: c.pk)
    )
    if len(targets) != len(key.columns):
        raise not_supported(f"a foreign key of {child.name} to {parent.name} whose columns do not match")
    pairs = list(zip(key.columns, targets, strict=True))
    here, there = pg_table(catalog, child), pg_table(catalog, parent)

    def same(c: str, p: str, child_side: str, parent_side: str) -> str:
        left, right = f"{child_side}.{pg_quote(c)}", f"{parent_side}.{pg_quote(p)}"
        if _type(child, c) is _type(parent, p) and _type(child, c) is not None:
            return f"{left} = {right}"
        return f"shadow.v({left}) = shadow.v({right})"

    filled = " AND ".join(f"($1).{pg_quote(c)} IS NOT NULL" for c, _ in pairs)
    found = " AND ".join(same(c, p, "($1)", "p") for c, p in pairs)
    missing = f"SELECT {filled} AND NOT EXISTS (SELECT FROM {there} p WHERE {found})"
    referring = " AND ".join(same(c, p, "c", "($1)") for c, p in pairs)
    columns = ", ".join(pg_quote(c) for c in key.columns)
    yield _trigger(here, f"INSERT OR UPDATE OF {columns}", _WANTED, "key_check", missing, "new", "")

    # A row deleted and made again with the same key in one statement (REPLACE) still has its children.
    kept = " AND ".join(f"p.{pg_quote(p)} = ($1).{pg_quote(p)}" for p in targets)
    orphaned = (
        f"SELECT EXISTS (SELECT FROM {here} c WHERE {referring}) AND NOT EXISTS (SELECT FROM {there} p WHERE {kept})"
    )
    moved = " OR ".join(f"OLD.{pg_quote(p)} IS DISTINCT FROM NEW.{pg_quote(p)}" for p in targets)
    names = ", ".join(pg_quote(p) for p in targets)
    followed = ", ".join(f"{pg_quote(c)} = ($2).{pg_quote(p)}" for c, p in pairs)
    for event, when, action, cascade in (
        ("DELETE", _WANTED, key.on_delete, f"DELETE FROM {here} c WHERE {referring}"),
        (
            f"UPDATE OF {names}",
            f"{_WANTED} AND ({moved})",
            key.on_update,
            f"UPDATE {here} c SET {followed} WHERE {referring}",
        ),
    ):
        match action.upper():
            case "CASCADE":
                yield _trigger(there, event, when, "key_act", cascade)
            case "SET NULL" | "SET DEFAULT":
                value = "NULL" if action.upper() == "SET NULL" else "DEFAULT"
                settings = ", ".join(f"{pg_quote(c)} = {value}" for c in key.columns)
                yield _trigger(there, event, when, "key_act", f"UPDATE {here} c SET {settings} WHERE {referring}")
            case _:
                restrict = "restrict" if action.upper() == "RESTRICT" else ""
                referred = f"SELECT EXISTS (SELECT FROM {here} c WHERE {referring})"
                yield _trigger(there, event, when, "key_check", referred if restrict else orphaned, "old", restrict)


def _trigger(table: str, event: str, when: str, function: str, *arguments: str) -> tuple[str, str]:
    from ...schema.names import text_literal

    texts = ", ".join(text_literal(a).strip() for a in arguments)
    body = f"AFTER {event} ON {table} FOR EACH ROW WHEN ({when}) EXECUTE FUNCTION shadow.{function}({texts})"
    # Triggers fire in the order of their names: RESTRICT at once, then what becomes of the children, then the checks.
    order = 1 if function == "key_act" else 0 if arguments[-1] == "restrict" else 2
    name = f"shadow_key_{order}" + hashlib.sha256(body.encode()).hexdigest()[:16]
    return name, f"CREATE TRIGGER {name} {body}"


def _type(table: Table, name: str) -> PgType | None:
    column = table.column(name)
    if column is None and fold(name) in ("rowid", "oid", "_rowid_"):
        return PgType.BIGINT
    return None if column is None else column.pg_type
