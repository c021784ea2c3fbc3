"""Existing rows, by COPY, at one snapshot position."""
