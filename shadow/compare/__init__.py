"""Read samples -> verdicts -> mismatch store."""
