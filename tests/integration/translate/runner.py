"""Runs a case of cases.jsonl on PostgreSQL, through the translator, and judges it by what SQLite answered.

The smallest stand-in for PostgreSQL mode: SQLite has the schema (the catalog, DDL, PRAGMAs, compile errors), PostgreSQL
has the rows. Column types are chosen by what the case stores, as the profile would; after DDL the tables are built anew
from SQLite. Refusals of the translator are told apart from wrong answers.
"""

from __future__ import annotations

import base64
import datetime
import json
import math
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg2

from shadow.errors import TargetError
from shadow.postgres.connect import connect
from shadow.postgres.errors import to_sqlite_error
from shadow.schema import convert
from shadow.schema.inspect import column_types, inspect
from shadow.schema.profile import profile
from shadow.translate import Kind, Translation, compat_sql, rowimage, split, translate
from shadow.translate.catalog import Catalog, PgType, Table
from shadow.values import codec

CASES = Path(__file__).with_name("cases.jsonl")


def cases() -> Iterator[dict[str, Any]]:
    with CASES.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


class Refused(Exception):
    """The translator said no."""


@dataclass
class Verdict:
    id: str
    category: str
    #: pass, refused or wrong
    outcome: str
    why: str = ""
    sql: list[str] = field(default_factory=list)


class Target:
    """One case's database: a SQLite for the schema, a PostgreSQL schema for the rows."""

    def __init__(self, dsn: str, pg_schema: str) -> None:
        self.pg_schema = pg_schema
        self.origin = sqlite3.connect(":memory:", isolation_level=None)
        self.conn = connect(dsn, purpose="translate cases", autocommit=True)
        self.cursor = self.conn.cursor()
        self.types: dict[tuple[str, str], PgType] = {}
        self.catalog = Catalog(pg_schema=pg_schema)
        self.ran: list[str] = []
        self.lastrowid: int | None = None
        self.changes = 0
        self.failed = False

    def close(self) -> None:
        self.cursor.execute(f'DROP SCHEMA IF EXISTS "{self.pg_schema}" CASCADE')
        self.conn.close()
        self.origin.close()

    def build(self) -> None:
        """Tables and rows in PostgreSQL as they are in SQLite now."""
        self.catalog = inspect(self.origin, pg_schema=self.pg_schema, types=self.types)
        self.cursor.execute(f'DROP SCHEMA IF EXISTS "{self.pg_schema}" CASCADE; CREATE SCHEMA "{self.pg_schema}"')
        self.cursor.execute("BEGIN")
        convert.build(self.cursor, convert.plan_tables(self.catalog).statements)
        for table in self.catalog.tables.values():
            self.copy(table)
        convert.build(self.cursor, convert.plan_indexes(self.catalog).statements)
        if self.origin.execute("PRAGMA foreign_keys").fetchone()[0]:
            for sql in _foreign_keys(self.catalog):
                self.cursor.execute(sql)
        self.cursor.execute("COMMIT")

    def copy(self, table: Table) -> None:
        if table.virtual:
            return
        columns = rowimage.columns(table)
        listed = ", ".join("rowid" if n == "_shadow_rowid" else '"' + n.replace('"', '""') + '"' for n, _ in columns)
        sql = rowimage.upsert(table, self.catalog)
        for row in self.origin.execute(f'SELECT {listed} FROM "{table.name}"'):
            values = [codec.to_target(v, t) for v, (_, t) in zip(row, columns, strict=True)]
            self.cursor.execute(sql, values)
        self.keep_sequence(table)

    def keep_sequence(self, table: Table) -> None:
        """The next id as SQLite would choose it."""
        if table.rowid_column is None:
            return
        name = f'"{self.pg_schema}"."{table.name}"'
        floor = 0
        if table.autoincrement:
            found = self.origin.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (table.name,)).fetchone()
            floor = found[0] if found else 0
        column = table.rowid_column.replace('"', '""')
        self.cursor.execute(
            f'SELECT setval(pg_get_serial_sequence(%s, %s), greatest(%s, (SELECT max("{column}") FROM {name}), 0) + 1, '
            "false)",
            (name, table.rowid_column, floor),
        )

    def execute(self, sql: str, params: Any) -> tuple[list[tuple[Any, ...]] | None, int]:
        """Rows (None: no result set) and row count; raises sqlite3's errors or `Refused`."""
        values = adapted(params)
        self.origin.execute("EXPLAIN " + sql, values).close()  # compile errors are SQLite's own
        types = {k: type(v) for k, v in values.items()} if isinstance(values, dict) else tuple(type(v) for v in values)
        found = translate(sql, self.catalog, param_types=types)
        if found.kind is Kind.DDL:
            self.origin.execute(sql)
            self.build()
            return None, -1
        if found.kind is Kind.TRANSACTION:
            if sql.upper().startswith("SAVEPOINT") and self.conn.info.transaction_status == 0:
                self.cursor.execute("BEGIN")
            self.cursor.execute(sql.replace("IMMEDIATE", "").replace("DEFERRED", "").replace("EXCLUSIVE", ""))
            self.origin.execute(sql)
            if sql.upper().startswith("RELEASE") and not self.origin.in_transaction:
                self.cursor.execute("COMMIT")
            return None, -1
        if found.kind is Kind.OTHER:  # VACUUM, ANALYZE
            self.origin.execute(sql)
            return None, -1
        if found.kind is Kind.PRAGMA or found.catalog_only:
            cursor = self.origin.execute(sql, values)
            rows = cursor.fetchall() if cursor.description else None
            if "foreign_keys" in sql.lower():
                self.build()
            return rows, -1
        if found.unsupported is not None or not found.steps:
            raise Refused(f"{found.unsupported.reason if found.unsupported else 'no steps'}")
        try:
            done = self.run(found, values)
            if found.writes:
                # SQLite follows, so that tables can be built anew after DDL.
                self.origin.execute(sql, values).fetchall()
        finally:
            if self.conn.info.transaction_status != psycopg2.extensions.TRANSACTION_STATUS_INERROR:
                for name in found.writes:
                    self.keep_sequence(self.catalog.tables[name])
        return done

    def run(self, found: Translation, values: Any) -> tuple[list[tuple[Any, ...]] | None, int]:
        from shadow.translate import Special

        specials = {
            Special.LAST_INSERT_ROWID: self.lastrowid or 0,
            Special.CHANGES: self.changes,
            Special.TOTAL_CHANGES: self.changes,
        }
        count = 0
        last: list[tuple[Any, ...]] | None = None
        self.cursor.execute("BEGIN" if self.conn.info.transaction_status == 0 else "SAVEPOINT stmt")
        alone = self.conn.info.transaction_status == 2 and "BEGIN" in (self.cursor.query or b"").decode()
        try:
            for step, (sql, bound) in zip(found.steps, found.bind(values, specials=specials), strict=True):
                self.ran.append(sql)
                self.cursor.execute(sql, bound)
                count += self.cursor.rowcount if step.counted else 0
                if step.counted and len(found.steps) > 1 and self.cursor.description:
                    last = self.cursor.fetchall() or last
                    for name in found.writes:
                        self.keep_sequence(self.catalog.tables[name])
            rows = last
            if len(found.steps) == 1:
                rows = self.cursor.fetchall() if self.cursor.description else None
        except psycopg2.Error as error:
            self.cursor.execute("ROLLBACK" if alone else "ROLLBACK TO stmt")
            raise to_sqlite_error(error, self.catalog) from error
        self.cursor.execute("COMMIT" if alone else "RELEASE stmt")
        if found.kind is Kind.QUERY:
            return rows, -1
        self.changes = count
        if found.rowid_appended and rows:
            self.lastrowid = rows[-1][-1]
            rows = [row[:-1] for row in rows]
        if not found.returns_rows:
            rows = None
        return rows, count


def _foreign_keys(catalog: Catalog) -> Iterator[str]:
    """With PRAGMA foreign_keys=ON PostgreSQL has the keys from the start."""
    for table in catalog.tables.values():
        for key in table.foreign_keys:
            parent = catalog.table(key.parent)
            if parent is None:
                continue
            theirs = key.parent_columns or parent.key
            columns, others = (", ".join(f'"{n}"' for n in names) for names in (key.columns, theirs))
            yield (
                f'ALTER TABLE "{catalog.pg_schema}"."{table.name}" ADD FOREIGN KEY ({columns}) REFERENCES '
                f'"{catalog.pg_schema}"."{parent.name}" ({others}) ON DELETE {key.on_delete} ON UPDATE {key.on_update}'
            )


def adapted(params: Any) -> Any:
    """What Python's sqlite3 makes of bound values before SQLite sees them."""

    def one(value: Any) -> Any:
        if isinstance(value, bool):
            return int(value)
        if isinstance(value, datetime.datetime):
            return value.isoformat(" ")
        if isinstance(value, datetime.date):
            return value.isoformat()
        return value

    if isinstance(params, dict):
        return {k: one(v) for k, v in params.items()}
    return tuple(one(v) for v in params)


def choose_types(case: dict[str, Any]) -> dict[tuple[str, str], PgType]:
    """The types a profile would choose after the setup and after the writes; where they differ, any value fits."""
    origin = sqlite3.connect(":memory:", isolation_level=None)
    found: dict[tuple[str, str], PgType] = {}

    def look() -> None:
        catalog, _ = profile(origin, inspect(origin))
        for key, chosen in column_types(catalog).items():
            found[key] = chosen if found.get(key, chosen) is chosen else PgType.VALUE

    for sql in case["setup"]:
        origin.execute(sql)
    look()
    for write in case.get("writes", []):
        try:
            if len(write) > 2 and write[2] == "executescript":
                origin.executescript(write[0])
            elif len(write) > 2:
                origin.executemany(write[0], decode(write[1]))
            else:
                origin.execute(write[0], decode(write[1])).fetchall()
        except (sqlite3.Error, sqlite3.Warning, OverflowError):
            pass
        look()
    origin.close()
    return found


def run(dsn: str, case: dict[str, Any], pg_schema: str) -> Verdict:
    """The whole case; never raises for what the case does."""
    verdict = Verdict(case["id"], case["category"], "pass")
    target = Target(dsn, pg_schema)
    try:
        target.types = choose_types(case)
        for sql in case["setup"]:
            target.origin.execute(sql)
        target.build()
        why = _writes(target, case) or _query(target, case)
        if why:
            verdict.outcome, verdict.why = "wrong", why
    except Refused as refusal:
        verdict.outcome, verdict.why = "refused", str(refusal)
    except (psycopg2.Error, sqlite3.Error, sqlite3.Warning, TargetError, ValueError, LookupError, TypeError) as error:
        verdict.outcome, verdict.why = "wrong", f"{type(error).__name__}: {error}".strip()[:300]
    finally:
        verdict.sql = target.ran
        target.close()
    return verdict


def _writes(target: Target, case: dict[str, Any]) -> str | None:
    for i, (write, expected) in enumerate(zip(case.get("writes", []), case.get("expected_writes", []), strict=False)):
        why = _write(target, write, expected)
        if why:
            return f"write {i}: {why}"
    return None


def _write(target: Target, write: list[Any], expected: dict[str, Any]) -> str | None:
    mode = write[2] if len(write) > 2 else "execute"
    rows = None
    count = -1
    try:
        if mode == "executescript":
            for sql in split(write[0]):
                target.execute(sql, ())
        elif mode == "executemany":
            count = 0
            for params in decode(write[1]):
                count += max(target.execute(write[0], params)[1], 0)
        else:
            rows, count = target.execute(write[0], decode(write[1]))
    except (sqlite3.Error, sqlite3.Warning, OverflowError) as error:
        if "error" not in expected:
            return f"{type(error).__name__}: {error}"[:300]
        return None if expected["error"] == type(error).__name__ else f"{type(error).__name__}: {error}"
    if "error" in expected:
        return f"expected {expected['error']}, none raised"
    if expected.get("rowcount", -1) >= 0 and expected["rowcount"] != count:
        return f"rowcount {count} != {expected['rowcount']}"
    if "rows" in expected and not same_rows(decode_rows(expected["rows"]), rows or [], ordered=False):
        return f"rows {rows} != {expected['rows']}"
    if "lastrowid" in expected and expected["lastrowid"] != target.lastrowid:
        return f"lastrowid {target.lastrowid} != {expected['lastrowid']}"
    return None


def _query(target: Target, case: dict[str, Any]) -> str | None:
    try:
        rows, _ = target.execute(case["query"], decode(case["params"]))
    except (sqlite3.Error, sqlite3.Warning) as error:
        if "expected_error" not in case:
            return f"query: {type(error).__name__}: {error}"[:300]
        if case["expected_error"] == type(error).__name__:
            return None
        return f"query: {type(error).__name__}: {error}, expected {case['expected_error']}"
    if "expected_error" in case:
        return f"query: expected {case['expected_error']}, got {rows}"
    if not same_rows(decode_rows(case["expected"]), rows or [], ordered=case["ordered"]):
        return f"query: {rows} != {case['expected']}"
    return None


# Values as the file writes them, and comparison: types are strict, floats to 12 digits.


def _value(value: Any) -> Any:
    if isinstance(value, dict):
        if "b64" in value:
            return base64.b64decode(value["b64"])
        if "datetime" in value:
            return datetime.datetime.fromisoformat(value["datetime"])
        if "date" in value:
            return datetime.date.fromisoformat(value["date"])
    return value


def _is_value(value: Any) -> bool:
    return isinstance(value, dict) and len(value) == 1 and next(iter(value)) in ("b64", "datetime", "date")


def decode(params: Any) -> Any:
    if isinstance(params, dict):
        return {k: _value(v) for k, v in params.items()}
    return [_value(v) if _is_value(v) else decode(v) if isinstance(v, (list, dict)) else v for v in params]


def decode_rows(rows: list[list[Any]]) -> list[tuple[Any, ...]]:
    return [tuple(_value(v) for v in row) for row in rows]


def same_rows(expected: list[tuple[Any, ...]], got: list[tuple[Any, ...]], *, ordered: bool) -> bool:
    if len(expected) != len(got):
        return False
    if ordered:
        return all(map(_same_row, expected, got))
    rest = list(got)
    for row in expected:
        at = next((i for i, other in enumerate(rest) if _same_row(row, other)), None)
        if at is None:
            return False
        del rest[at]
    return True


def _same_row(a: tuple[Any, ...], b: tuple[Any, ...]) -> bool:
    return len(a) == len(b) and all(map(_same, a, b))


def _same(a: Any, b: Any) -> bool:
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return a == b or math.isclose(a, b, rel_tol=1e-12, abs_tol=1e-12)
    return bool(a == b)


def prepare(dsn: str) -> None:
    """The compat functions, once a database."""
    conn = psycopg2.connect(dsn)
    with conn, conn.cursor() as cursor:
        cursor.execute(compat_sql())
    conn.close()
