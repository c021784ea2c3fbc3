"""What kind of statement a text is, found with a tokenizer alone and kept per text.

This runs in the app's process, so nothing here parses: a statement costs one dictionary look-up, and a new text a few
microseconds. What the shim must know is whether a text writes, ends a transaction or changes the schema, and whether
replaying it would have the same effect; the agent does the translating.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from enum import Enum
from itertools import pairwise

from .tokens import T, Token, tokenize, upper

_STATEMENTS_MAX = 2_000
#: Longer texts carry their values inline and seldom come twice.
_CACHED_CHARS_MAX = 20_000


class Kind(Enum):
    """What a statement does, as far as the shim must tell."""

    READ = "read"
    WRITE = "write"
    DDL = "ddl"
    BEGIN = "begin"
    COMMIT = "commit"
    ROLLBACK = "rollback"
    SAVEPOINT = "savepoint"
    RELEASE = "release"
    ROLLBACK_TO = "rollback to"
    PRAGMA = "pragma"
    ATTACH = "attach"
    VACUUM = "vacuum"
    EXPLAIN = "explain"
    OTHER = "other"
    EMPTY = "empty"


class Rows(Enum):
    """Where an INSERT takes its rows from."""

    ONE = "one"  # VALUES with one row, or DEFAULT VALUES
    MANY = "many"  # VALUES with several rows
    QUERY = "query"


#: Names that ask for the time when they are called without an argument, with 'now', or stand alone.
DATE_FUNCTIONS = frozenset(("date", "time", "datetime", "julianday", "unixepoch", "strftime"))
NOW_WORDS = frozenset(("current_timestamp", "current_date", "current_time"))
RANDOM_FUNCTIONS = frozenset(("random", "randomblob"))
COUNTER_FUNCTIONS = frozenset(("changes", "total_changes", "last_insert_rowid"))
CATALOG_NAMES = frozenset(("sqlite_master", "sqlite_schema", "sqlite_temp_master", "sqlite_temp_schema"))


@dataclass(frozen=True, slots=True, eq=False)
class Statement:
    """One classified text. Names are folded: ASCII lower case, without quotes. Compared by identity."""

    sql: str
    kind: Kind
    #: INSERT, REPLACE, UPDATE, DELETE; CREATE, ALTER, DROP; else the first word.
    verb: str = ""
    #: Python's legacy mode begins a transaction before this text.
    python_dml: bool = False
    #: Target of a write or of DDL; savepoint name; PRAGMA name.
    schema: str | None = None
    name: str = ""
    #: BEGIN: DEFERRED, IMMEDIATE, EXCLUSIVE. DDL: TABLE, INDEX, VIEW, TRIGGER, VIRTUAL.
    what: str = ""
    temporary: bool = False
    #: CREATE ... IF NOT EXISTS, DROP ... IF EXISTS.
    conditional: bool = False
    rows: Rows = Rows.ONE
    or_action: str = ""
    upsert_updates: bool = False
    returning: bool = False
    limit: bool = False
    update_from: bool = False
    as_select: bool = False
    functions: frozenset[str] = frozenset()
    identifiers: frozenset[str] = frozenset()
    #: Start and end of every mention of a catalog table, for the redirect that hides ours.
    catalog: tuple[tuple[int, int, str], ...] = ()
    #: Names of the variables in order of first appearance; '' for a bare `?`, '?3' for a numbered one.
    variables: tuple[str, ...] = ()
    #: Asks for the time, in its own text.
    uses_now: bool = False
    mentions_counters: bool = False
    #: Hash of the text without literals, lists of any length alike: one shape, one sample at least.
    shape: int = 0
    #: A read that may go the short way: nothing of ours could show in it.
    plain_read: bool = False
    tokens: tuple[Token, ...] = field(default=(), repr=False)


_cache: dict[str, Statement] = {}
_lock = threading.Lock()  # guards growth and shrinking of the cache; look-ups need none


def classify(sql: str) -> Statement:
    """The classification of a text's first statement; kept per text, bounded."""
    known = _cache.get(sql)
    if known is not None:
        return known
    statement = _classify(sql)
    if len(sql) <= _CACHED_CHARS_MAX:
        with _lock:
            if len(_cache) >= _STATEMENTS_MAX:
                for old in list(_cache)[: _STATEMENTS_MAX // 4]:
                    del _cache[old]
            _cache[sql] = statement
    return statement


#: The cache itself, for the one look-up of the hot path.
known = _cache.get


def fold(name: str) -> str:
    """ASCII lower case, as SQLite compares names."""
    return name.lower() if name.isascii() else "".join(c.lower() if c.isascii() else c for c in name)


def python_begins(sql: str) -> bool:
    """Whether Python's sqlite3 takes the text for DML: its own test, comments skipped, nothing else looked at."""
    at, size = 0, len(sql)
    while at < size:
        if sql[at] in " \t\f\n\r":
            at += 1
        elif sql.startswith("--", at):
            newline = sql.find("\n", at)
            if newline < 0:
                return False
            at = newline + 1
        elif sql.startswith("/*", at):
            close = sql.find("*/", at + 2)
            if close < 0:
                return False
            at = close + 2
        else:
            break
    head = sql[at : at + 7].upper()
    return head.startswith(("INSERT", "UPDATE", "DELETE")) or head == "REPLACE"


def _classify(sql: str) -> Statement:
    tokens = tokenize(sql)
    start = 0
    while start < len(tokens) and tokens[start].kind is T.SEMICOLON:
        start += 1
    tokens = tokens[start : _statement_end(tokens, start)]
    if not tokens or tokens[0].kind is not T.WORD:
        return Statement(sql, Kind.OTHER if tokens else Kind.EMPTY)
    read = _Reader(sql, tokens)
    maker = _MAKERS.get(tokens[0].value, _other)
    return maker(read)


def _statement_end(tokens: list[Token], start: int) -> int:
    """Index behind the statement that begins at `start`: its semicolon, but for those in CREATE TRIGGER ... END."""
    words = [t.value for t in tokens[start : start + 4] if t.kind is T.WORD]
    trigger = words[:1] == ["CREATE"] and "TRIGGER" in words[1:3]
    for index in range(start, len(tokens)):
        if tokens[index].kind is T.SEMICOLON and (not trigger or _closes_trigger(tokens, index)):
            return index
    return len(tokens)


def _closes_trigger(tokens: list[Token], index: int) -> bool:
    """; END ; as SQLite's own sqlite3_complete has it: the END of a CASE stands behind no semicolon."""
    before = tokens[index - 1]
    return before.kind is T.WORD and before.value == "END" and tokens[index - 2].kind is T.SEMICOLON


class _Reader:
    """The tokens of one statement and what is common to all kinds."""

    def __init__(self, sql: str, tokens: list[Token]) -> None:
        self.sql = sql
        self.tokens = tokens
        self.at = 0

    def word(self, ahead: int = 0) -> str:
        """The keyword at the present place, or ''."""
        index = self.at + ahead
        if index < len(self.tokens) and self.tokens[index].kind is T.WORD:
            return self.tokens[index].value
        return ""

    def accept(self, *words: str) -> bool:
        """Step over these words if they stand here."""
        if all(self.word(i) == w for i, w in enumerate(words)):
            self.at += len(words)
            return True
        return False

    def name(self) -> tuple[str | None, str]:
        """[schema .] name, folded."""
        first = self._one_name()
        if self.at < len(self.tokens) and self.tokens[self.at].value == "." and first:
            self.at += 1
            return first, self._one_name()
        return None, first

    def _one_name(self) -> str:
        if self.at >= len(self.tokens):
            return ""
        token = self.tokens[self.at]
        if token.kind is T.WORD or token.kind is T.QUOTED or token.kind is T.STRING:
            self.at += 1
            return fold(token.value)
        return ""

    def rest(self) -> list[tuple[int, Token]]:
        """The remaining tokens with the depth of parentheses around each."""
        depth, out = 0, []
        for token in self.tokens[self.at :]:
            if token.kind is T.OPERATOR and token.value == ")":
                depth -= 1
            out.append((depth, token))
            if token.kind is T.OPERATOR and token.value == "(":
                depth += 1
        return out


def mentions(tokens: list[Token]) -> tuple[frozenset[str], frozenset[str]]:
    """Names called as functions, and all names; of a statement or of a trigger's text."""
    functions, identifiers = set(), set()
    for index, token in enumerate(tokens):
        if token.kind is T.WORD or token.kind is T.QUOTED:
            name = fold(token.value)
            identifiers.add(name)
            follows = tokens[index + 1] if index + 1 < len(tokens) else None
            if follows is not None and follows.kind is T.OPERATOR and follows.value == "(":
                functions.add(name)
    return frozenset(functions), frozenset(identifiers)


def asks_for_now(functions: frozenset[str], identifiers: frozenset[str]) -> bool:
    """Whether a text with these names may ask for the time."""
    return bool(NOW_WORDS & identifiers or DATE_FUNCTIONS & functions)


def _make(read: _Reader, kind: Kind, **known: object) -> Statement:
    tokens = read.tokens
    functions, identifiers = mentions(tokens)
    catalog = tuple(
        (t.start, t.end, fold(t.value))
        for t in tokens
        if t.kind in (T.WORD, T.QUOTED) and (fold(t.value) in CATALOG_NAMES or fold(t.value) == "pragma_table_list")
    )
    counters = bool(COUNTER_FUNCTIONS & functions)
    return Statement(
        read.sql,
        kind,
        python_dml=python_begins(read.sql),
        functions=functions,
        identifiers=identifiers,
        catalog=catalog,
        variables=_variables(tokens),
        uses_now=asks_for_now(functions, identifiers),
        mentions_counters=counters,
        shape=_shape(tokens),
        plain_read=kind is Kind.READ and not catalog and not counters,
        tokens=tuple(tokens) if catalog else (),
        **known,  # type: ignore[arg-type]
    )


def _variables(tokens: list[Token]) -> tuple[str, ...]:
    out: list[str] = []
    for token in tokens:
        if token.kind is T.VARIABLE:
            name = "" if token.value == "?" else token.value if token.value[0] == "?" else token.value[1:]
            if not name or name not in out:
                out.append(name)
    return tuple(out)


def _shape(tokens: list[Token]) -> int:
    parts: list[str] = []
    for token in tokens:
        if T.STRING <= token.kind <= T.VARIABLE:
            if len(parts) >= 2 and parts[-1] == "," and parts[-2] == "?":
                parts.pop()
                continue
            parts.append("?")
        else:
            parts.append(token.value)
    return hash(tuple(parts))


def _read(read: _Reader) -> Statement:
    return _make(read, Kind.READ, verb="SELECT")


def _with(read: _Reader) -> Statement:
    """WITH [RECURSIVE] ... then the real verb, outside all parentheses."""
    for index, (depth, token) in enumerate(read.rest()):
        if depth == 0 and token.kind is T.WORD and token.value in ("SELECT", "VALUES", *_WRITERS):
            if token.value in _WRITERS:
                read.at = index
                return _WRITERS[token.value](read)
            return _read(read)
    return _make(read, Kind.OTHER, verb="WITH")


def _or_action(read: _Reader) -> str:
    if read.word() == "OR":
        read.at += 2
        return read.tokens[read.at - 1].value if read.at <= len(read.tokens) else ""
    return ""


def _insert(read: _Reader) -> Statement:
    verb = read.word()
    read.at += 1
    action = "REPLACE" if verb == "REPLACE" else _or_action(read)
    read.accept("INTO")
    schema, name = read.name()
    rest = read.rest()
    words = [(i, t.value) for i, (depth, t) in enumerate(rest) if depth == 0 and t.kind is T.WORD]
    found = [w for _, w in words]
    rows = Rows.QUERY
    source = next(((i, w) for i, w in words if w in ("VALUES", "SELECT", "DEFAULT", "WITH")), None)
    if source is not None and source[1] == "DEFAULT":
        rows = Rows.ONE
    elif source is not None and source[1] == "VALUES":
        rows = _values_rows(rest[source[0] + 1 :])
    return _make(
        read,
        Kind.WRITE,
        verb="INSERT",
        schema=schema,
        name=name,
        rows=rows,
        or_action=action,
        upsert_updates=any(a == "DO" and b == "UPDATE" for a, b in pairwise(found)),
        returning="RETURNING" in found,
    )


def _values_rows(rest: list[tuple[int, Token]]) -> Rows:
    """VALUES (..) is one row; VALUES (..), (..) or VALUES (..) UNION ... is more."""
    groups = 0
    for depth, token in rest:
        if depth != 0:
            continue
        if token.kind is T.OPERATOR and token.value == "(":
            groups += 1
        elif token.kind is T.WORD:
            return Rows.QUERY if token.value in ("UNION", "EXCEPT", "INTERSECT") else _one_or_many(groups)
    return _one_or_many(groups)


def _one_or_many(groups: int) -> Rows:
    return Rows.ONE if groups <= 1 else Rows.MANY


def _update(read: _Reader) -> Statement:
    read.at += 1
    action = _or_action(read)
    schema, name = read.name()
    return _make(read, Kind.WRITE, verb="UPDATE", schema=schema, name=name, or_action=action, **_tail(read, "FROM"))


def _delete(read: _Reader) -> Statement:
    read.at += 1
    read.accept("FROM")
    schema, name = read.name()
    return _make(read, Kind.WRITE, verb="DELETE", schema=schema, name=name, **_tail(read, ""))


def _tail(read: _Reader, source: str) -> dict[str, object]:
    words = {t.value for depth, t in read.rest() if depth == 0 and t.kind is T.WORD}
    return {
        "returning": "RETURNING" in words,
        "limit": "LIMIT" in words,
        "update_from": bool(source) and source in words,
    }


def _ddl(read: _Reader) -> Statement:
    verb = read.word()
    read.at += 1
    temporary = read.accept("TEMP") or read.accept("TEMPORARY")
    read.accept("UNIQUE")
    what = read.word()
    read.at += 1
    if what == "VIRTUAL":
        read.accept("TABLE")
    conditional = read.accept("IF", "NOT", "EXISTS") or read.accept("IF", "EXISTS")
    schema, name = read.name()
    as_select = what == "TABLE" and verb == "CREATE" and read.word() == "AS"
    return _make(
        read,
        Kind.DDL,
        verb=verb,
        what=what,
        schema=schema,
        name=name,
        temporary=temporary or schema == "temp",
        conditional=conditional,
        as_select=as_select,
    )


def _begin(read: _Reader) -> Statement:
    kind = read.word(1)
    return _make(read, Kind.BEGIN, what=kind if kind in ("IMMEDIATE", "EXCLUSIVE") else "DEFERRED")


def _commit(read: _Reader) -> Statement:
    return _make(read, Kind.COMMIT)


def _rollback(read: _Reader) -> Statement:
    read.at += 1
    read.accept("TRANSACTION")
    if read.accept("TO"):
        read.accept("SAVEPOINT")
        return _make(read, Kind.ROLLBACK_TO, name=read.name()[1])
    return _make(read, Kind.ROLLBACK)


def _savepoint(read: _Reader) -> Statement:
    read.at += 1
    return _make(read, Kind.SAVEPOINT, name=read.name()[1])


def _release(read: _Reader) -> Statement:
    read.at += 1
    read.accept("SAVEPOINT")
    return _make(read, Kind.RELEASE, name=read.name()[1])


def _pragma(read: _Reader) -> Statement:
    read.at += 1
    schema, name = read.name()
    return _make(read, Kind.PRAGMA, schema=schema, name=name)


def _attach(read: _Reader) -> Statement:
    return _make(read, Kind.ATTACH, verb=read.word())


def _vacuum(read: _Reader) -> Statement:
    into = any(t.kind is T.WORD and t.value == "INTO" for t in read.tokens)
    return _make(read, Kind.VACUUM, what="INTO" if into else "")


def _explain(read: _Reader) -> Statement:
    return _make(read, Kind.EXPLAIN)


def _other(read: _Reader) -> Statement:
    return _make(read, Kind.OTHER, verb=upper(read.word()))


_WRITERS = {"INSERT": _insert, "REPLACE": _insert, "UPDATE": _update, "DELETE": _delete}
_MAKERS = {
    **_WRITERS,
    "SELECT": _read,
    "VALUES": _read,
    "WITH": _with,
    "CREATE": _ddl,
    "ALTER": _ddl,
    "DROP": _ddl,
    "BEGIN": _begin,
    "COMMIT": _commit,
    "END": _commit,
    "ROLLBACK": _rollback,
    "SAVEPOINT": _savepoint,
    "RELEASE": _release,
    "PRAGMA": _pragma,
    "ATTACH": _attach,
    "DETACH": _attach,
    "VACUUM": _vacuum,
    "EXPLAIN": _explain,
}


def split(script: str) -> list[str]:
    """The statements of a script, without their semicolons; empty ones are left out."""
    out: list[str] = []
    tokens = tokenize(script)
    at = 0
    while at < len(tokens):
        if tokens[at].kind is T.SEMICOLON:
            at += 1
            continue
        end = _statement_end(tokens, at)
        out.append(script[tokens[at].start : tokens[end - 1].end])
        at = end
    return out
