"""The shape of a statement: what stays when literals and parameters are taken out.

Two statements of one shape are compared, counted and shown as one. Lists of values of any length are equal
(`IN (?, ?)` and `IN (?)`, one VALUES row and ten).
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

from .lexer import LexError, T, Token, lex

_VALUES = (T.STRING, T.BLOB, T.INTEGER, T.FLOAT, T.PARAM)
_NO_SPACE_BEFORE = frozenset({",", ")", ".", ";", "("})
_NO_SPACE_AFTER = frozenset({"(", "."})
_KEYWORDS_BEFORE_BRACKET = frozenset(
    {"IN", "VALUES", "AND", "OR", "NOT", "FROM", "SELECT", "WHERE", "ON", "AS", "EXISTS", "USING", "CONFLICT", "SET",
     "OVER", "JOIN"}
)  # fmt: skip


@lru_cache(maxsize=4096)
def fingerprint(sql: str) -> str:
    """32 hex digits that are equal for statements of one shape."""
    return hashlib.sha256(_shape(sql, fold_names=True).encode("utf-8", "surrogatepass")).hexdigest()[:32]


@lru_cache(maxsize=4096)
def normalise(sql: str) -> str:
    """The shape as text, for people."""
    return _shape(sql, fold_names=False)


def _shape(sql: str, *, fold_names: bool) -> str:
    try:
        tokens = lex(sql).tokens
    except LexError:
        return " ".join(sql.split())
    while tokens and (tokens[-1].kind is T.END or tokens[-1].text == ";"):
        tokens.pop()
    parts = _collapse([_part(token, fold_names) for token in tokens])
    out: list[str] = []
    for part in parts:
        if (out and part not in _NO_SPACE_BEFORE and out[-1] not in _NO_SPACE_AFTER) or (
            out and part == "(" and out[-1].upper() in _KEYWORDS_BEFORE_BRACKET
        ):
            out.append(" ")
        out.append(part)
    return "".join(out)


def _part(token: Token, fold_names: bool) -> str:
    if token.kind in _VALUES:
        return "?"
    if token.kind is T.WORD:
        return token.text if fold_names else token.extra
    if token.kind is T.QUOTED:
        return token.text.upper() if fold_names else '"' + token.text.replace('"', '""') + '"'
    return {"==": "=", "!=": "<>"}.get(token.text, token.text)


def _collapse(parts: list[str]) -> list[str]:
    """`( ? , ? )` to `( ? )` after IN and VALUES, and `( ? ) , ( ? )` after VALUES to one row."""
    out: list[str] = []
    for part in parts:
        out.append(part)
        if part == "?" and len(out) >= 3 and out[-2] == "," and out[-3] == "?" and _in_list(out):
            del out[-2:]
        elif part == ")" and _row_repeated(out):
            del out[len(out) - _row_length(out) - 1 :]
    return out


def _in_list(out: list[str]) -> bool:
    """Is the value at the end in brackets that hold values only, opened after IN?"""
    at = len(out) - 3
    return at >= 2 and out[at - 1] == "(" and out[at - 2].upper() == "IN"


def _row_length(out: list[str]) -> int:
    """Parts of the bracket group that ends here, brackets counted; 0 if there is none."""
    depth = 0
    for back, part in enumerate(reversed(out), 1):
        if part == ")":
            depth += 1
        elif part == "(":
            depth -= 1
            if not depth:
                return back
    return 0


def _row_repeated(out: list[str]) -> bool:
    """Does `( a ) , ( a )` end here, the first of them right after VALUES?"""
    length = _row_length(out)
    before = len(out) - length
    if not length or before < length + 2 or out[before - 1] != ",":
        return False
    return out[before - 1 - length : before - 1] == out[before:] and out[before - 2 - length].upper() == "VALUES"
