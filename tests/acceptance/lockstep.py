"""The reference app twice: each call on the standard sqlite3 and, right after it, through the shim; results compared.

Calls go in pairs so that both see the same clock; results are compared as the API would send them, with value types,
timestamps of this very minute made equal (the second may turn between the two).
"""

from __future__ import annotations

import math
import random
import shutil
import sqlite3
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

from shadow.demo.app import database, migrations, seed
from shadow.demo.client import act
from shadow.demo.ledger import Ledger
from shadow.demo.reads import READS
from shadow.demo.session import Action, Session
from shadow.demo.writes import WORK, WRITES

#: The end of a second: both calls of a pair should fall into the same one, or `ORDER BY updated_at` may differ.
_SECOND_ENDS = 0.85


@dataclass
class Side:
    """One of the two apps."""

    module: ModuleType
    path: Path
    session: Session

    def use(self) -> None:
        database.sqlite3 = self.module  # type: ignore[assignment]
        database.CATALOG_PATH = self.path


@dataclass
class Difference:
    action: str
    standard: Any
    ours: Any


@dataclass
class Lockstep:
    """Both apps, called action by action with the same dice."""

    standard: Side
    ours: Side
    calls: int = 0
    differences: list[Difference] = field(default_factory=list)

    def open(self) -> None:
        for side in (self.standard, self.ours):
            side.use()
            side.session.open()

    def run(self, actions: list[Action], rounds: int, *, shuffle: int = 0) -> None:
        """Every action `rounds` times, in an order that `shuffle` fixes."""
        order = actions * rounds
        random.Random(shuffle).shuffle(order)
        for action in order:
            self.call(action)

    def call(self, action: Action) -> None:
        into_the_second = time.time() % 1.0
        if into_the_second > _SECOND_ENDS:
            time.sleep(1.0 - into_the_second)  # the next second is what is waited for
        results = []
        for side in (self.standard, self.ours):
            side.use()
            results.append(_mask(act(action, side.session)))
        self.calls += 1
        if not alike(*results, sums=action.name in SUMS_OF_REALS):
            self.differences.append(Difference(action.name, *map(repr, results)))

    def migrate(self) -> None:
        """The app's next release, on both."""
        applied = []
        for side in (self.standard, self.ours):
            side.use()
            conn = database.get_connection()
            applied.append(migrations.run_migrations(conn, migrations.MIGRATIONS + migrations.NEXT_RELEASE))
            conn.close()
        assert applied[0] == applied[1] == ["005_conversation_rating"]


ALL_ACTIONS = [*READS, *{action.name: action for action in WRITES + WORK}.values()]


def lockstep(tmp_path: Path, ours: ModuleType, path: Path) -> Lockstep:
    """Two apps with the same old data: one on a file of its own, one on `path` through `ours`, not shadowed yet."""
    plain = tmp_path / "standard.db"
    database.sqlite3 = sqlite3
    database.CATALOG_PATH = plain
    database.init_database()
    database.run_migrations()
    seed.seed()
    with sqlite3.connect(plain) as conn:
        conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    conn.close()
    shutil.copy(plain, path)
    return Lockstep(side(sqlite3, plain, tmp_path / "standard.jsonl"), side(ours, path, tmp_path / "ours.jsonl"))


def side(module: ModuleType, path: Path, log: Path) -> Side:
    return Side(module, path, Session("c", random.Random(1), Ledger(log)))


#: Add up reals: SQLite adds in the order of its scan, which depends on the index it takes, so last digits may differ.
SUMS_OF_REALS = frozenset(
    {
        *("costs_by_day", "costs_by_hour", "costs_by_model", "total_cost", "costs_of_conversation", "budget_used"),
        *("costs_today", "messages_per_day", "kpi_board"),
    }
)


def alike(a: Any, b: Any, *, sums: bool) -> bool:
    """The same values with the same types in the same order."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return list(a) == list(b) and all(alike(a[key], b[key], sums=sums) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(alike(x, y, sums=sums) for x, y in zip(a, b, strict=True))
    if sums and isinstance(a, float):
        return math.isclose(a, b, rel_tol=1e-10)
    return bool(a == b)


def _mask(value: Any, key: str = "") -> Any:
    """Moments of just now, and lengths of time that end with them, are all the same."""
    if isinstance(value, dict):
        return {name: _mask(item, name) for name, item in value.items()}
    if isinstance(value, list):
        return [_mask(item) for item in value]
    if key == "seconds" and isinstance(value, int) and 0 <= value < 600:
        return "<seconds>"
    return "<now>" if isinstance(value, str) and _is_now(value) else value


def _is_now(text: str) -> bool:
    try:
        moment = datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        return False
    return abs(datetime.now(UTC) - moment) < timedelta(minutes=2)


def dump(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of the app's tables, by the standard module, without what the clock wrote."""
    conn = sqlite3.connect(path)
    try:
        names = [
            row[0]
            for row in conn.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
            if not row[0].startswith(("sqlite_", "_shadow_"))
        ]
        return {
            name: [
                tuple(repr(_mask(value)) for value in row)
                for row in conn.execute(f'SELECT * FROM "{name}" ORDER BY rowid')
            ]
            for name in names
        }
    finally:
        conn.close()
