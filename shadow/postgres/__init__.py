"""Every psycopg2 call of the app's process, and what others share: connections, errors, pool, housekeeping.

Import the modules, not this package's names: `from shadow.postgres.connect import connect`.
"""
