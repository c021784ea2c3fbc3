"""PostgreSQL -> SQLite while PostgreSQL is primary: capture and reverse apply."""
