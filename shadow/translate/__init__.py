"""SQLite's SQL to PostgreSQL's, with the app's schema at hand. Pure: no I/O, no psycopg2.

    lexer -> parser -> syntax tree -> compiler + rules -> Translation

`rules/` has one family of rules per file; `select`, `insert` and `update` put statements together; functions that
PostgreSQL does not have are in `sql/compat.sql`. What has no faithful form is `Translation.unsupported`, with reason
and place, never a guess. docs/reference/translation.md tells what becomes of what.
"""

from __future__ import annotations

from .api import Untranslatable, compat_sql, condition, expression, stored_expression, translate
from .catalog import Catalog
from .lexer import split
from .shape import fingerprint, normalise
from .translation import Kind, Order, Purpose, Special, Step, Translation, Unsupported

__all__ = [
    "Catalog",
    "Kind",
    "Order",
    "Purpose",
    "Special",
    "Step",
    "Translation",
    "Unsupported",
    "Untranslatable",
    "compat_sql",
    "condition",
    "expression",
    "fingerprint",
    "normalise",
    "split",
    "stored_expression",
    "translate",
]
