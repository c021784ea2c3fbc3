"""Starts and watches the workers; health."""
