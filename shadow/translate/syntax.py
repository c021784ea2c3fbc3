"""The syntax tree of SQLite's SELECT, INSERT, UPDATE and DELETE: what the parser builds and the rules read.

Plain slotted classes without behaviour. Every node has its place in the source (`start`, `end`), so that a refusal can
point at it. Names stand as written; comparing them is the resolver's work.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True, eq=False, kw_only=True)
class Node:
    start: int = 0
    end: int = 0


class Expr(Node):
    """Anything that has a value."""

    __slots__ = ()


@dataclass(slots=True, eq=False)
class Literal(Expr):
    #: None: NULL.
    value: int | float | str | bytes | None
    #: TRUE and FALSE are 1 and 0, but may be written as booleans.
    boolean: bool = False


@dataclass(slots=True, eq=False)
class Param(Expr):
    #: 1-based, as SQLite numbers parameters.
    number: int


@dataclass(slots=True, eq=False)
class Column(Expr):
    table: str | None
    name: str
    #: Written in double quotes without a table: a string if no such column is there.
    maybe_string: bool = False


@dataclass(slots=True, eq=False)
class Star(Expr):
    table: str | None


@dataclass(slots=True, eq=False)
class Keyword(Expr):
    """CURRENT_TIMESTAMP, CURRENT_DATE, CURRENT_TIME."""

    name: str


@dataclass(slots=True, eq=False)
class Unary(Expr):
    #: - + ~ NOT ISNULL NOTNULL
    op: str
    operand: Expr


@dataclass(slots=True, eq=False)
class Binary(Expr):
    #: OR AND = <> < <= > >= & | << >> + - * / % || -> ->> IS "IS NOT" MATCH REGEXP
    op: str
    left: Expr
    right: Expr


@dataclass(slots=True, eq=False)
class Like(Expr):
    #: LIKE or GLOB
    op: str
    operand: Expr
    pattern: Expr
    escape: Expr | None
    negated: bool


@dataclass(slots=True, eq=False)
class Between(Expr):
    operand: Expr
    low: Expr
    high: Expr
    negated: bool


@dataclass(slots=True, eq=False)
class In(Expr):
    operand: Expr
    items: list[Expr] | Query
    negated: bool


@dataclass(slots=True, eq=False)
class Case(Expr):
    base: Expr | None
    whens: list[tuple[Expr, Expr]]
    otherwise: Expr | None


@dataclass(slots=True, eq=False)
class Cast(Expr):
    operand: Expr
    type_name: str


@dataclass(slots=True, eq=False)
class Collate(Expr):
    operand: Expr
    collation: str


@dataclass(slots=True, eq=False)
class Exists(Expr):
    query: Query


@dataclass(slots=True, eq=False)
class Scalar(Expr):
    """A query in brackets, standing for its first row's value."""

    query: Query


@dataclass(slots=True, eq=False)
class Row(Expr):
    items: list[Expr]


@dataclass(slots=True, eq=False)
class OrderTerm(Node):
    expr: Expr
    descending: bool = False
    #: NULLS FIRST / NULLS LAST as written; None: SQLite's own (first when ascending).
    nulls_first: bool | None = None


@dataclass(slots=True, eq=False)
class Window(Node):
    base: str | None
    partition: list[Expr]
    order: list[OrderTerm]
    #: The frame's text, upper case, its expressions are literals; '' if none.
    frame: str


@dataclass(slots=True, eq=False)
class Call(Expr):
    #: Lower case.
    name: str
    args: list[Expr]
    star: bool = False
    distinct: bool = False
    order: list[OrderTerm] = field(default_factory=list)
    where: Expr | None = None
    over: Window | str | None = None


# Sources


class Source(Node):
    """Anything that stands in FROM."""

    __slots__ = ()


@dataclass(slots=True, eq=False)
class TableRef(Source):
    schema: str | None
    name: str
    alias: str | None


@dataclass(slots=True, eq=False)
class TableCall(Source):
    """json_each(...), pragma_table_info(...)."""

    name: str
    args: list[Expr]
    alias: str | None


@dataclass(slots=True, eq=False)
class SubQuery(Source):
    query: Query
    alias: str | None


@dataclass(slots=True, eq=False)
class Join(Source):
    left: Source
    right: Source
    #: INNER LEFT RIGHT FULL CROSS ,
    kind: str
    natural: bool = False
    on: Expr | None = None
    using: list[str] = field(default_factory=list)


# Queries


@dataclass(slots=True, eq=False)
class Item(Node):
    """One result column; `text` is how it was written, which is its name without an alias."""

    expr: Expr
    alias: str | None
    text: str


@dataclass(slots=True, eq=False)
class Core(Node):
    items: list[Item]
    distinct: bool = False
    source: Source | None = None
    where: Expr | None = None
    group: list[Expr] = field(default_factory=list)
    having: Expr | None = None
    windows: dict[str, Window] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Values(Node):
    rows: list[list[Expr]]


@dataclass(slots=True, eq=False)
class Compound(Node):
    left: Core | Values | Compound
    #: UNION, UNION ALL, INTERSECT, EXCEPT
    op: str
    right: Core | Values


@dataclass(slots=True, eq=False)
class Cte(Node):
    name: str
    columns: list[str]
    query: Query
    #: None, MATERIALIZED or NOT MATERIALIZED
    hint: str | None = None


@dataclass(slots=True, eq=False)
class Query(Node):
    body: Core | Values | Compound
    ctes: list[Cte] = field(default_factory=list)
    recursive: bool = False
    order: list[OrderTerm] = field(default_factory=list)
    limit: Expr | None = None
    offset: Expr | None = None


# Writes


@dataclass(slots=True, eq=False)
class Upsert(Node):
    #: None: no conflict target.
    target: list[OrderTerm] | None
    target_where: Expr | None
    #: None: DO NOTHING.
    sets: list[tuple[list[str], Expr]] | None
    where: Expr | None


@dataclass(slots=True, eq=False)
class Write(Node):
    table: TableRef
    ctes: list[Cte] = field(default_factory=list)
    recursive: bool = False
    returning: list[Item] = field(default_factory=list)
    #: ABORT (the default), REPLACE, IGNORE, FAIL or ROLLBACK
    conflict: str = "ABORT"


@dataclass(slots=True, eq=False)
class Insert(Write):
    #: None: all columns in order.
    columns: list[str] | None = None
    #: None: DEFAULT VALUES.
    query: Query | None = None
    upserts: list[Upsert] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Update(Write):
    sets: list[tuple[list[str], Expr]] = field(default_factory=list)
    source: Source | None = None
    where: Expr | None = None
    order: list[OrderTerm] = field(default_factory=list)
    limit: Expr | None = None


@dataclass(slots=True, eq=False)
class Delete(Write):
    where: Expr | None = None
    order: list[OrderTerm] = field(default_factory=list)
    limit: Expr | None = None


@dataclass(slots=True, eq=False)
class Other(Node):
    """DDL, PRAGMA, transaction control: known by its first words only."""

    words: tuple[str, ...]


Statement = Query | Insert | Update | Delete | Other
