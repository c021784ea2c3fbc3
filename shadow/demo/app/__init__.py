"""The reference backend's data layer: what a real app of this kind has, and nothing that knows of shadow.

One module per subject, plain functions, a connection opened per call (`database`). The only line that differs from an
app on plain SQLite is where `database` gets its `sqlite3` from.
"""
