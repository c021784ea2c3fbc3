"""Which result columns a query is sorted by, as far as that can be seen from its text.

Where ORDER BY leaves ties open, the sequence of these columns' values is still fixed. Only what is certain is used: a
column by number or by its name in the result, compared by its bytes.
"""

from __future__ import annotations

from functools import lru_cache

from ..translate.catalog import Catalog, fold
from ..translate.lexer import LexError
from ..translate.parser import ParseError, parse
from ..translate.syntax import Column, Literal, OrderTerm, Query


def sort_keys(sql: str, columns: tuple[str, ...], catalog: Catalog, reads: frozenset[str]) -> tuple[int, ...]:
    """Places of the leading sort keys among the result columns; empty when nothing is certain."""
    if _has_collations(catalog, reads):
        return ()
    names = [fold(name) for name in columns]
    keys: list[int] = []
    for term in _terms(sql):
        place = _place(term, names)
        if place is None:
            break
        keys.append(place)
    return tuple(keys)


@lru_cache(maxsize=2_000)
def _terms(sql: str) -> tuple[OrderTerm, ...]:
    try:
        statement, _ = parse(sql)
    except (ParseError, LexError):
        return ()
    return tuple(statement.order) if isinstance(statement, Query) else ()


def _place(term: OrderTerm, names: list[str]) -> int | None:
    match term.expr:
        case Literal(value=int(number)) if 1 <= number <= len(names):
            return number - 1
        case Column(table=None, name=name) if names.count(fold(name)) == 1:
            return names.index(fold(name))
    return None


def _has_collations(catalog: Catalog, reads: frozenset[str]) -> bool:
    """NOCASE and RTRIM make different texts tie."""
    tables = (catalog.tables.get(name) for name in reads)
    return any(column.collation != "BINARY" for table in tables if table is not None for column in table.columns)
