"""The outbox in SQLite: append, read in order, trim."""
