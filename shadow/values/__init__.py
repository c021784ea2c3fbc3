"""One value, two engines: codec, normaliser, digest."""
