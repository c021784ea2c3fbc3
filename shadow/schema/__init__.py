"""Both catalogs: inspect, profile stored values, convert."""
