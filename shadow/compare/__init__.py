"""Sampled reads, run on both sides of a fenced pair: verdicts, coverage, mismatches.

Import the modules, not this package's names: `from shadow.compare.comparer import Comparer`.
"""
