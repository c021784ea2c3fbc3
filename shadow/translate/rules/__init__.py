"""One family of rules per file; each file exports one ordered tuple of rules."""
