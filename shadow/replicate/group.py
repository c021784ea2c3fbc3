"""One group of journal records in one PostgreSQL transaction: what each item does there.

The same code runs a group at full speed and, after a failure, carefully; the difference is the `Sender`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from psycopg2.extensions import cursor as PgCursor

from ..journal import Record
from ..journal.record import EpochChanged, Executed, Item, RowImage, RowImages, SchemaChanged, Undetermined
from ..translate import Kind
from ..translate.catalog import Catalog, fold
from ..values.codec import DoesNotFit
from .change import Untranslatable, bind
from .dirt import Dirt, Divergence, DivergenceKind
from .evolve import evolve
from .images import commands_for
from .send import Diverged, Sender
from .sequences import Sequences
from .statements import Plan, Statements

#: Statements that leave nothing behind on the other side.
_WITHOUT_EFFECT = (Kind.QUERY, Kind.TRANSACTION, Kind.PRAGMA)
_SQLITE_SEQUENCE = frozenset({"sqlite_sequence"})


@dataclass(slots=True)
class Tally:
    """What one group did; counted only once it is committed."""

    records: int = 0
    statements: int = 0
    skipped_dirty: int = 0
    skipped_diverged: int = 0
    epoch: int | None = None


class Group:
    """Applies items one after the other, through a sender, inside the caller's transaction."""

    def __init__(
        self,
        cursor: PgCursor,
        pair: str,
        catalog: Catalog,
        statements: Statements,
        sequences: Sequences,
        dirt: Dirt,
        sender: Sender,
        high_water: Callable[[], None],
    ) -> None:
        self._cursor = cursor
        self._pair = pair
        self.catalog = catalog
        self._statements = statements
        self._sequences = sequences
        self.dirt = dirt
        self._sender = sender
        self._high_water = high_water
        self.tally = Tally()
        self._position = 0

    def run(self, records: Iterable[Record]) -> None:
        for record in records:
            self._position = record.position
            self.tally.records += 1
            for item in record.items:
                self._item(item)

    def _item(self, item: Item) -> None:
        match item:
            case Executed():
                self._executed(item)
            case RowImages():
                self._row_images(item)
            case Undetermined():
                self._undetermined(item)
            case SchemaChanged():
                self._schema_changed(item)
            case EpochChanged():
                self.tally.epoch = item.epoch

    # --- statements

    def _executed(self, item: Executed) -> None:
        if not item.param_sets:
            return
        plan = self._statements.plan(self._cursor, item.sql, item.param_sets[0])
        translation = plan.translation
        if translation.unsupported is None and (translation.kind in _WITHOUT_EFFECT or not plan.writes):
            return
        if plan.writes == _SQLITE_SEQUENCE:
            self._high_water()
            return
        sets = len(item.param_sets)
        if self.dirt.tables and self._is_skipped(plan, sets):
            return
        try:
            change = bind(self._cursor, item, plan, self._statements)
            if change.sets:
                self._sender.change(change)
        except Untranslatable as error:
            self._diverge(DivergenceKind.UNSUPPORTED, plan.writes_sorted, item.sql, str(error), sets)
        except Diverged as error:
            self._diverge(error.kind, plan.writes_sorted, item.sql, error.detail, sets)
        else:
            self.tally.statements += sets
            if item.rowids is not None and len(plan.writes_sorted) == 1:
                for rowid in item.rowids:
                    if rowid is not None:
                        self._sequences.observe(plan.writes_sorted[0], rowid)

    def _is_skipped(self, plan: Plan, sets: int) -> bool:
        """Whether a dirty table is in the way; what the statement would have written is dirty then, too."""
        dirty = self.dirt.touches(plan.writes) or self.dirt.touches(plan.reads)
        if dirty is None:
            return False
        self.tally.skipped_dirty += sets
        self.dirt.mark(plan.writes_sorted, self._position, f"a statement needs table {dirty}, which is dirty")
        return True

    # --- row images

    def _row_images(self, item: RowImages) -> None:
        """Rows as SQLite left them. A table that is dirty is left alone; the others get theirs."""
        commands: list[tuple[str, tuple[object, ...]]] = []
        tables: list[str] = []
        try:
            for row in item.rows:
                folded = fold(row.table)
                if folded in self.dirt.tables:
                    self.tally.skipped_dirty += 1
                    continue
                if folded not in tables:
                    tables.append(folded)
                commands += self._image(folded, row)
            if commands:
                self._sender.direct(commands)
        except DoesNotFit as error:
            self._diverge(DivergenceKind.VALUE, self._tables_of(item), item.sql, str(error), len(item.rows))
        except Diverged as error:
            self._diverge(error.kind, tuple(tables), item.sql, error.detail, len(item.rows))
        else:
            self.tally.statements += len(commands)

    def _tables_of(self, item: RowImages) -> tuple[str, ...]:
        return tuple(sorted({fold(row.table) for row in item.rows}))

    def _image(self, folded: str, row: RowImage) -> list[tuple[str, tuple[object, ...]]]:
        table = self.catalog.tables.get(folded)
        if table is None or table.virtual:
            return []
        if row.row is not None and table.rowid_column is not None and isinstance(row.row[0], int):
            self._sequences.observe(folded, row.row[0])
        return commands_for(row, table, self.catalog)

    # --- what nobody knows

    def _undetermined(self, item: Undetermined) -> None:
        tables = tuple(sorted(fold(name) for name in item.tables))
        self._diverge(DivergenceKind.UNDETERMINED, tables, item.sql, item.reason, 1)

    def _diverge(self, kind: DivergenceKind, tables: Sequence[str], sql: str, detail: str, statements: int) -> None:
        self._sender.flush()
        self.tally.skipped_diverged += statements
        any_table = not tables
        known = tuple(tables) or tuple(sorted(name for name, table in self.catalog.tables.items() if not table.virtual))
        self.dirt.diverged(Divergence(self._position, kind, known, sql, detail, any_table))

    # --- DDL

    def _schema_changed(self, item: SchemaChanged) -> None:
        self._sender.flush()
        self.catalog, remade = evolve(self._cursor, self._pair, self.catalog, item)
        self._statements.use(self._cursor, self.catalog)
        self._sequences.forget()
        if remade:
            self._diverge(
                DivergenceKind.ERROR, remade, item.sql, "the tables were created anew from their definition", 1
            )
