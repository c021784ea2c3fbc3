"""Journal -> PostgreSQL: ordered, exactly-once apply."""
