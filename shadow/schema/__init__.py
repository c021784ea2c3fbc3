"""Both catalogs: inspect, profile stored values, convert."""

from .convert import Plan, Statement, build, create_indexes, create_tables, plan_indexes, plan_tables
from .evolve import evolve, plan_evolve, types_after
from .inspect import Objects, Types, column_types, inspect, objects
from .profile import Finding, Profile, orphans, profile, profile_rows
from .replica import Replica
from .store import catalog_version, load_catalog, load_objects, save_catalog

__all__ = [
    "Finding",
    "Objects",
    "Plan",
    "Profile",
    "Replica",
    "Statement",
    "Types",
    "build",
    "catalog_version",
    "column_types",
    "create_indexes",
    "create_tables",
    "evolve",
    "inspect",
    "load_catalog",
    "load_objects",
    "objects",
    "orphans",
    "plan_evolve",
    "plan_indexes",
    "plan_tables",
    "profile",
    "profile_rows",
    "save_catalog",
    "types_after",
]
