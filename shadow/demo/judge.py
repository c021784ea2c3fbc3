"""The judge: were the app's acknowledged writes kept, once, in both databases, and are all tables equal?

Shares no code with shadow, on purpose, and is run as a file, not as a module: stdlib, psycopg2 and the clients' own
books (format: see ledger.py, read here anew). Reads both databases as they are; run it when the clients are paused.

    python -P judge.py --sqlite app.db --dsn postgresql://... --schema public client1.jsonl client2.jsonl

Prints one JSON object; exit code 0: all as it should be, 1: not, 2: could not judge. A write whose client got no
answer, or an error, is in doubt: it may be there or not. Everything else must be exactly so.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

Rows = list[dict[str, Any]]
#: Complaints printed at most, of each sort; all are counted.
SHOWN = 20


@dataclass
class Verdict:
    """What was found."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


# --- the two databases, value by value ------------------------------------------------------------------------------


def canonical(value: Any) -> tuple[str, Any]:
    """A value with its SQLite type, so that 1, 1.0 and '1' differ; booleans are integers."""
    if value is None:
        return ("null", None)
    if isinstance(value, (bool, int)):
        return ("integer", int(value))
    if isinstance(value, float):
        return ("real", value.hex())
    if isinstance(value, str):
        return ("text", value)
    if isinstance(value, (bytes, memoryview)):
        return ("blob", bytes(value).hex())
    raise TypeError(f"a {type(value).__name__} is no SQLite value")


def mixed(cls: int | None, number: Decimal | None, text: str | None, blob: Any) -> Any:
    """A column of any type is four columns in PostgreSQL: 1 number (a real has decimals), 2 text, 3 blob."""
    if cls is None:
        return None
    if cls == 2:
        return text
    if cls == 3:
        return bytes(blob)
    assert number is not None
    if not number.is_finite() or number.as_tuple().exponent != 0:
        return -0.0 if str(number) == "0.00" else float(number)
    return int(number)


def read_sqlite(path: Path) -> dict[str, Rows]:
    conn = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
    try:
        conn.execute("BEGIN")
        names = conn.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        found: dict[str, Rows] = {}
        for (name,) in names:
            if name.startswith(("sqlite_", "_shadow_")):
                continue
            cursor = conn.execute(f'SELECT * FROM "{name}"')
            columns = [item[0] for item in cursor.description]
            found[name] = [dict(zip(columns, map(canonical, row), strict=True)) for row in cursor]
        return found
    finally:
        conn.close()


def read_postgres(dsn: str, schema: str, tables: list[str]) -> dict[str, Rows]:
    import psycopg2

    conn = psycopg2.connect(dsn)
    try:
        conn.set_session(isolation_level="REPEATABLE READ", readonly=True)
        with conn.cursor() as cursor:
            return {name: _postgres_rows(cursor, schema, name) for name in tables}
    finally:
        conn.close()


def _postgres_rows(cursor: Any, schema: str, table: str) -> Rows:
    cursor.execute(
        "SELECT column_name, udt_schema || '.' || udt_name = 'shadow.value' FROM information_schema.columns"
        " WHERE table_schema = %s AND table_name = %s AND column_name <> '_shadow_rowid' ORDER BY ordinal_position",
        (schema, table),
    )
    columns = cursor.fetchall()
    if not columns:
        return []
    wanted: list[str] = []
    for name, is_mixed in columns:
        quoted = '"' + name.replace('"', '""') + '"'
        parts = ("cls", "num", "txt", "blob") if is_mixed else ()
        wanted += [f"({quoted}).{part}" for part in parts] or [quoted]
    cursor.execute(f'SELECT {", ".join(wanted)} FROM "{schema}"."{table}"'.replace("%", "%%"))
    rows = []
    for values in cursor:
        it = iter(values)
        row = {}
        for name, is_mixed in columns:
            row[name] = canonical(mixed(next(it), next(it), next(it), next(it)) if is_mixed else next(it))
        rows.append(row)
    return rows


def compare(origin: dict[str, Rows], target: dict[str, Rows]) -> dict[str, dict[str, Any]]:
    """Per table: rows on each side and those that only one side has."""
    report = {}
    for table, rows in origin.items():
        here = Counter(tuple(sorted(row.items())) for row in rows)
        there = Counter(tuple(sorted(row.items())) for row in target[table])
        only_here, only_there = here - there, there - here
        report[table] = {
            "rows_sqlite": len(rows),
            "rows_postgres": len(target[table]),
            "only_sqlite": only_here.total(),
            "only_postgres": only_there.total(),
            "examples": [str(dict(row)) for row in [*list(only_here)[:2], *list(only_there)[:2]]],
        }
    return report


# --- the books ------------------------------------------------------------------------------------------------------


@dataclass
class Book:
    """Everything the clients were told, put together."""

    acknowledged: list[tuple[str, dict[str, Any]]] = field(default_factory=list)  # (where, check), in each one's order
    doubtful: list[dict[str, Any]] = field(default_factory=list)
    writes: int = 0
    doubtful_writes: int = 0
    app_errors: Counter[str] = field(default_factory=Counter)


def read_books(paths: list[Path]) -> Book:
    book = Book()
    for path in paths:
        open_tries: dict[int, dict[str, Any]] = {}
        for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
            if not line.endswith("\n"):
                continue  # the client was killed while it wrote this
            entry = json.loads(line)
            if "failed" in entry:
                book.app_errors[f"{entry['op']}: {entry['failed']}"] += 1
            elif "try" in entry:
                open_tries[entry["n"]] = entry
            elif "ok" in entry:
                del open_tries[entry["n"]]
                book.writes += 1
                where = f"{path.stem} #{entry['n']} {entry['op']}"
                book.acknowledged += [(where, check) for check in entry["ok"]]
        book.doubtful_writes += len(open_tries)
        book.doubtful += [check for entry in open_tries.values() for check in entry["try"]]
    return book


def examine(book: Book, side: str, tables: dict[str, Rows], verdict: Verdict) -> None:
    """Every acknowledged check against one database."""
    index = Index(tables)
    unsure = {subject(check) for check in book.doubtful}
    sums: dict[tuple[Any, ...], int] = Counter()
    lists: dict[tuple[Any, ...], list[tuple[str, str]]] = defaultdict(list)
    last: dict[tuple[Any, ...], tuple[str, dict[str, Any]]] = {}
    claims: dict[tuple[Any, ...], tuple[str, dict[str, Any]]] = {}
    for where, check in book.acknowledged:
        kind, about, place = check["kind"], subject(check), f"{side}: {where}"
        if kind == "present":
            rows = index.find(check["table"], check["column"], check["value"])
            if len(rows) > 1:
                verdict.doubled.append(f"{place}: {len(rows)} rows with {check['value']!r}")
            elif not rows:
                verdict.lost.append(f"{place}: no row with {check['value']!r}")
            elif check["id"] is not None and rows[0]["id"] != canonical(check["id"]):
                verdict.wrong.append(f"{place}: {check['value']!r} has id {rows[0]['id'][1]}, told was {check['id']}")
        elif kind == "absent":
            if index.find(check["table"], check["column"], check["value"]):
                verdict.wrong.append(f"{place}: {check['value']!r} should not be there")
        elif kind == "added":
            sums[about] += check["by"]
        elif kind == "appended":
            lists[about].append((place, check["item"]))
        elif kind == "set":
            last[about] = (place, check)
        elif kind == "claimed":
            if about in claims:
                verdict.doubled.append(f"{place}: claimed by two, the other: {claims[about][0]}")
            claims[about] = (place, check)
        else:
            raise ValueError(f"unknown check {kind!r}")
    examine_counters(book, side, index, sums, verdict)
    examine_lists(side, index, lists, verdict)
    for about, (place, check) in [*last.items(), *claims.items()]:
        found = index.value(check)
        if found != canonical(check["value"]) and about not in unsure:
            verdict.lost.append(f"{place}: {check['table']} {check['key']}: {check['column']} is {found}")


def examine_counters(book: Book, side: str, index: Index, sums: dict[tuple[Any, ...], int], verdict: Verdict) -> None:
    """All that was counted by anybody, and nothing more; counters begin at zero."""
    possible: Counter[tuple[Any, ...]] = Counter()
    for check in book.doubtful:
        if check["kind"] == "added":
            possible[subject(check)] += check["by"]
    for about, expected in sums.items():
        _, table, key, column = about
        found = index.value({"table": table, "key": key, "column": column})
        count = found[1] if found is not None and found[0] == "integer" else None
        what = f"{side}: {table} {list(key)}.{column} is {found}, acknowledged were {expected}"
        if count is None or count < expected:
            verdict.lost.append(what)
        elif count > expected + possible[about]:
            verdict.doubled.append(what)


def examine_lists(
    side: str, index: Index, lists: dict[tuple[Any, ...], list[tuple[str, str]]], verdict: Verdict
) -> None:
    """Every item once, each client's in its order."""
    for (_, table, key, column), items in lists.items():
        found = index.value({"table": table, "key": key, "column": column})
        stored = str(found[1]).split(";") if found is not None and found[0] == "text" else []
        places = {item: place for place, item in enumerate(stored)}
        counts = Counter(stored)
        before: dict[str, int] = {}  # by client
        for place, item in items:
            client = place.partition(" #")[0]
            if counts[item] == 0:
                verdict.lost.append(f"{place}: {item} is not in {table} {list(key)}.{column}")
            elif counts[item] > 1:
                verdict.doubled.append(f"{place}: {item} is {counts[item]} times in {table} {list(key)}.{column}")
            elif places[item] < before.get(client, -1):
                verdict.wrong.append(f"{place}: {item} stands before what was written earlier")
            before[client] = max(before.get(client, -1), places.get(item, -1))


def subject(check: dict[str, Any]) -> tuple[Any, ...]:
    """What a check is about, so that several about the same thing can be put together."""
    if "key" in check:
        return (check["kind"], check["table"], tuple(check["key"]), check["column"])
    return (check["kind"], check["table"], check["column"], check["value"])


class Index:
    """Rows by the value of a column, built when first asked."""

    def __init__(self, tables: dict[str, Rows]) -> None:
        self._tables = tables
        self._by: dict[tuple[str, str], dict[Any, Rows]] = {}

    def find(self, table: str, column: str, value: Any) -> Rows:
        if (table, column) not in self._by:
            rows: dict[Any, Rows] = defaultdict(list)
            for row in self._tables[table]:
                rows[row[column]].append(row)
            self._by[table, column] = rows
        return self._by[table, column].get(canonical(value), [])

    def value(self, check: dict[str, Any]) -> tuple[str, Any] | None:
        """The one value that `key` names; None when there is not exactly one row."""
        key_column, key_value = check["key"]
        rows = self.find(check["table"], key_column, key_value)
        return rows[0][check["column"]] if len(rows) == 1 else None


def judge(sqlite_path: Path, dsn: str | None, schema: str, logs: list[Path]) -> dict[str, Any]:
    """The whole judgement. Without a DSN only SQLite is looked at."""
    book, verdict = read_books(logs), Verdict()
    origin = read_sqlite(sqlite_path)
    examine(book, "sqlite", origin, verdict)
    tables: dict[str, dict[str, Any]] = {}
    if dsn is not None:
        target = read_postgres(dsn, schema, list(origin))
        examine(book, "postgres", target, verdict)
        tables = compare(origin, target)
    different = sum(table["only_sqlite"] + table["only_postgres"] for table in tables.values())
    return {
        "ok": not (verdict.lost or verdict.doubled or verdict.wrong or different or book.app_errors)
        and book.writes > 0,
        "writes_acknowledged": book.writes,
        "writes_in_doubt": book.doubtful_writes,
        "checks": len(book.acknowledged),
        "lost": len(verdict.lost),
        "doubled": len(verdict.doubled),
        "wrong": len(verdict.wrong),
        "complaints": [*verdict.lost[:SHOWN], *verdict.doubled[:SHOWN], *verdict.wrong[:SHOWN]],
        "rows_compared": sum(table["rows_sqlite"] for table in tables.values()),
        "rows_different": different,
        "tables": tables,
        "app_errors": sum(book.app_errors.values()),
        "app_error_texts": dict(book.app_errors.most_common(SHOWN)),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="Judge both databases against what the app was told.")
    parser.add_argument("--sqlite", type=Path, required=True)
    parser.add_argument("--dsn")
    parser.add_argument("--schema", default="public")
    parser.add_argument("logs", type=Path, nargs="+")
    options = parser.parse_args()
    try:
        result = judge(options.sqlite, options.dsn, options.schema, options.logs)
    except (OSError, sqlite3.Error, ValueError) as error:
        print(json.dumps({"ok": False, "error": f"{type(error).__name__}: {error}"}))
        return 2
    print(json.dumps(result, indent=2))
    return 0 if result["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
