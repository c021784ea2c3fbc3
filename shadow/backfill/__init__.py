"""Existing rows, by COPY, at one snapshot position."""

from .backfill import BackfillReport, OnProgress, TableCopied, backfill

__all__ = ["BackfillReport", "OnProgress", "TableCopied", "backfill"]
