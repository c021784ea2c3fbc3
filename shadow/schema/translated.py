"""Expressions of the app's DDL through the translator, as a text or as a refusal with its reason."""

from __future__ import annotations

from dataclasses import dataclass

from ..translate.catalog import Catalog, Column, Table, View
from .names import quote


@dataclass(frozen=True, slots=True)
class Refused:
    """No faithful form exists; the reason in one line."""

    reason: str


def expression(text: str, table: Table, catalog: Catalog) -> str | Refused:
    """An index term."""
    from ..translate import Untranslatable  # not before it is needed: the shim stays light
    from ..translate import expression as translated

    try:
        return translated(text, table, catalog)
    except Untranslatable as error:
        return Refused(str(error))


def stored(text: str, column: Column, table: Table, catalog: Catalog) -> str | Refused:
    """A DEFAULT or a generated column, in the column's type, as SQLite converts what it stores there."""
    from ..translate import Untranslatable, stored_expression

    try:
        return stored_expression(text, column, table, catalog)
    except Untranslatable as error:
        return Refused(str(error))


def condition(text: str, table: Table, catalog: Catalog) -> str | Refused:
    """A CHECK or the WHERE of a partial index: a boolean in PostgreSQL."""
    from ..translate import Untranslatable
    from ..translate import condition as translated

    try:
        return translated(text, table, catalog)
    except Untranslatable as error:
        return Refused(str(error))


def view(found: View, catalog: Catalog) -> Refused | None:
    """Why statements over the view will be refused, if they will; the translator writes views out where they stand."""
    from ..translate import translate

    result = translate("SELECT * FROM " + quote(found.name), catalog)
    return None if result.unsupported is None else Refused(result.unsupported.reason)
