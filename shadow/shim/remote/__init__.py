"""One app connection's PostgreSQL side, in use while PostgreSQL is primary; loaded only then."""
