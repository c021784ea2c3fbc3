"""Fenced pair, table diff, repair."""

from .diff import Kind, RowDiff, TableDiff, diff_table
from .pair import Applies, FencedPair, NotComparable, open_pair
from .repair import RepairReport, TableRepair, repair
from .verify import VerifyReport, verify

__all__ = [
    "Applies",
    "FencedPair",
    "Kind",
    "NotComparable",
    "RepairReport",
    "RowDiff",
    "TableDiff",
    "TableRepair",
    "VerifyReport",
    "diff_table",
    "open_pair",
    "repair",
    "verify",
]
