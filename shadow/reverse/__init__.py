"""PostgreSQL -> SQLite: capture what the app changes while PostgreSQL is primary, and bring it back."""
