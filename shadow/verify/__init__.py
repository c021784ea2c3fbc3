"""Fenced pair, table diff, repair."""
