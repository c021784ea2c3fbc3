"""Expressions of the app's DDL through the translator, as a text or as a refusal with its reason."""

from __future__ import annotations

from dataclasses import dataclass

from ..translate.catalog import Catalog, Table, View
from . import ddl


@dataclass(frozen=True, slots=True)
class Refused:
    """No faithful form exists; the reason in one line."""

    reason: str


def expression(text: str, table: Table, catalog: Catalog) -> str | Refused:
    """A DEFAULT, index term or generated column."""
    from .. import translate  # brings sqlglot

    call = getattr(translate, "expression", None)
    if call is None:
        return Refused("the translator is not there yet")
    try:
        return str(call(text, table, catalog))
    except ValueError as error:
        return Refused(str(error))


def condition(text: str, table: Table, catalog: Catalog) -> str | Refused:
    """A CHECK or the WHERE of a partial index: a boolean in PostgreSQL."""
    return expression(text, table, catalog)


def view(found: View, catalog: Catalog) -> str | Refused:
    """The SELECT of a view."""
    stream = list(ddl.tokens(found.sql))
    start = next((i for i, t in enumerate(stream) if t.is_word("as")), None)
    if start is None or start + 1 >= len(stream):
        return Refused("its text cannot be read")
    from .. import translate

    call = getattr(translate, "translate", None)
    if call is None:
        return Refused("the translator is not there yet")
    result = call(found.sql[stream[start + 1].start :], catalog)
    if result.unsupported is not None:
        return Refused(result.unsupported.reason)
    return str(result.steps[-1].sql).replace("%%", "%")
