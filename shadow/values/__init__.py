"""One value, two engines: what SQLite stores, what PostgreSQL is given, and whether two values are the same.

Nothing here does I/O or knows psycopg2; `postgres.connect` registers `codec.parse_value` as the caster of
`shadow.value`. Types and affinities are the strings of `translate.catalog.PgType` and `Affinity`: this layer lies
below.
"""
