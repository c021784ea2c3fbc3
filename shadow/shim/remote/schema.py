"""What a process knows of the app's schema while PostgreSQL is primary, and the plans made with it.

Loaded once per process and pair, keyed by `shadow.catalog_version`: every write transaction compares the version under
the fence, reads look again when a second has gone by or when PostgreSQL does not know a name. A transaction that has
run DDL carries a state of its own until it commits.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ...translate.catalog import Catalog

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as PgCursor

    from ...config import Settings
    from ...schema import Replica
    from .plan import Plan

#: Plans kept per state; the texts of an app are few, those built with values inline come once.
_PLANS_MAX = 2_000
#: How old the knowledge of a read may be.
CHECK_SECONDS = 1.0


@dataclass(slots=True)
class SchemaState:
    """One version of the schema."""

    version: int
    catalog: Catalog
    replica: Replica
    #: When the version was last seen in PostgreSQL (monotonic).
    checked_at: float
    #: The triggers for PRAGMA foreign_keys=ON are there.
    keys_ready: bool = False
    plans: dict[tuple[str, object], Plan] = field(default_factory=dict)

    def remember(self, key: tuple[str, object], plan: Plan) -> None:
        if len(self.plans) >= _PLANS_MAX:
            for old in list(self.plans)[: _PLANS_MAX // 4]:
                self.plans.pop(old, None)
        self.plans[key] = plan


class SchemaStore:
    """The committed state of one pair, shared by the threads of a process."""

    def __init__(self, pair: str) -> None:
        self._pair = pair
        self._lock = threading.Lock()  # guards replacing `current`; reading it needs none
        self.current: SchemaState | None = None

    def load(self, cursor: PgCursor) -> SchemaState:
        """Read the catalog, unless the version is the one that is known. `cursor` is in no transaction."""
        from ...schema import Replica, catalog_version, store

        known = self.current
        if known is not None and catalog_version(cursor, self._pair) == known.version:
            known.checked_at = time.monotonic()
            return known
        cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        try:
            version = catalog_version(cursor, self._pair)
            objects = store.load_objects(cursor, self._pair)
            types = store.load_types(cursor, self._pair)
        finally:
            cursor.execute("ROLLBACK")
        replica = Replica(objects)
        state = SchemaState(version, replica.catalog(self._pair, types), replica, time.monotonic())
        with self._lock:  # whatever its version: the pair may have been made anew
            self.current = state
        return state

    def publish(self, state: SchemaState) -> None:
        """Make the state of a committed DDL transaction the process's own, unless a younger one is there."""
        with self._lock:
            if self.current is None or self.current.version <= state.version:
                self.current = state


_stores: dict[tuple[str | None, str], SchemaStore] = {}
_stores_lock = threading.Lock()  # guards growth of the above


def store_for(settings: Settings) -> SchemaStore:
    key = (settings.database_url, settings.pg_schema)
    found = _stores.get(key)
    if found is None:
        with _stores_lock:
            found = _stores.setdefault(key, SchemaStore(settings.pg_schema))
    return found


def forget_schemas() -> None:
    """Drop everything known, for tests that make another database under the same name."""
    with _stores_lock:
        _stores.clear()
