"""The journal, applied to PostgreSQL: exactly once, in commit order.

Import the modules, not this package's names: `from shadow.replicate.applier import Applier`.
"""
