"""The reference app, its load, the judge and the demo's script."""
