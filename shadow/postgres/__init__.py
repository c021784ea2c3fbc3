"""Every psycopg2 call: session, pool, SQLSTATE -> sqlite3 errors, housekeeping SQL."""
