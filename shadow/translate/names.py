"""Identifiers as they stand in PostgreSQL: as declared, quoted where they must be."""

from __future__ import annotations

import re
from functools import lru_cache

from .catalog import pg_name

_PLAIN = re.compile(r"[a-z_][a-z0-9_]*\Z", re.ASCII)
#: Words PostgreSQL (14 to 18) does not take unquoted as column, table, alias or function name.
_RESERVED_TEXT = """
    all analyse analyze and any array as asc asymmetric authorization between bigint binary bit boolean both case
    cast char character check coalesce collate collation column concurrently constraint create cross
    current_catalog current_date current_role current_schema current_time current_timestamp current_user dec
    decimal default deferrable desc distinct do else end except exists extract false fetch float for foreign
    freeze from full grant greatest group grouping having ilike in initially inner inout int integer intersect
    interval into is isnull join json json_array json_arrayagg json_exists json_object json_objectagg json_query
    json_scalar json_serialize json_table json_value lateral leading least left like limit localtime
    localtimestamp merge_action national natural nchar new none normalize not notnull null nullif numeric off
    offset old on only or order out outer overlaps overlay placing position precision primary real references
    returning right row select session_user setof similar smallint some substring symmetric system_user table
    tablesample then time timestamp to trailing treat trim true union unique user using values varchar variadic
    verbose when where window with xmlattributes xmlconcat xmlelement xmlexists xmlforest xmlnamespaces xmlparse
    xmlpi xmlroot xmlserialize xmltable value name day hour minute month second year within without oid ctid xmin
    xmax cmin cmax tableoid
"""
_RESERVED = frozenset(_RESERVED_TEXT.split())


@lru_cache(maxsize=8192)
def ident(name: str) -> str:
    """One identifier."""
    short = pg_name(name)
    if _PLAIN.match(short) and short not in _RESERVED:
        return short
    return '"' + short.replace('"', '""') + '"'


def qualified(*parts: str) -> str:
    return ".".join(map(ident, parts))
