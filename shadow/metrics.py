"""Names of every metric the agent exports: one table for the agent, the dashboards and the alert rules.

State gauges belong to the agent alone. No prometheus import here: the agent builds its collectors from this table.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Metric:
    """One exported metric: Prometheus name, type, labels, and the sentence that /metrics shows."""

    name: str
    kind: str  # gauge | counter | histogram
    labels: tuple[str, ...]
    help: str


METRICS: tuple[Metric, ...] = (
    Metric("shadow_primary", "gauge", ("side",), "1 for the side that is primary, 0 for the other"),
    Metric("shadow_epoch", "gauge", (), "Epoch of the flag"),
    Metric("shadow_proof_epoch", "gauge", (), "Proof older than this epoch no longer counts"),
    Metric("shadow_postgres_up", "gauge", (), "1 while the agent can use PostgreSQL"),
    Metric("shadow_sqlite_up", "gauge", (), "1 while the agent can read the SQLite file"),
    Metric("shadow_journal_position", "gauge", (), "Position of the newest committed journal record"),
    Metric("shadow_applied_position", "gauge", (), "Position up to which PostgreSQL has the journal"),
    Metric("shadow_lag_records", "gauge", (), "Journal positions not yet applied"),
    Metric("shadow_lag_seconds", "gauge", (), "Age of the oldest journal record not yet applied; 0 when none"),
    Metric("shadow_journal_bytes", "gauge", (), "Bytes of journal records kept in SQLite"),
    Metric("shadow_apply_transactions_total", "counter", (), "Journal records applied"),
    Metric("shadow_apply_statements_total", "counter", (), "Statements applied"),
    Metric("shadow_apply_skipped_total", "counter", ("reason",), "Statements not applied, by reason"),
    Metric("shadow_apply_retries_total", "counter", ("reason",), "Apply rounds that were started again"),
    Metric("shadow_apply_seconds", "histogram", (), "Duration of one group of applied records"),
    Metric(
        "shadow_divergences_unresolved", "gauge", (), "Writes that had another effect on PostgreSQL, not yet settled"
    ),
    Metric("shadow_dirty_tables", "gauge", (), "Tables that wait for repair"),
    Metric("shadow_repaired_rows_total", "counter", (), "Rows brought back in line"),
    Metric("shadow_reads_seen_total", "counter", (), "Read samples that reached the agent"),
    Metric("shadow_reads_compared_total", "counter", ("verdict",), "Compared reads by verdict: match, mismatch"),
    Metric("shadow_reads_not_comparable_total", "counter", ("reason",), "Reads without a verdict, by reason"),
    Metric("shadow_samples_dropped_total", "counter", ("reason",), "Samples lost before comparison"),
    Metric("shadow_compare_seconds", "histogram", ("side",), "Duration of one compared read on each side"),
    Metric("shadow_mismatches_unresolved", "gauge", (), "Statement shapes with a mismatch that nobody resolved"),
    Metric("shadow_shapes", "gauge", ("state",), "Statement shapes by state: compared, waiting, unsupported"),
    Metric("shadow_gate_open", "gauge", ("gate",), "1 when the cutover gate is open"),
    Metric(
        "shadow_verify_rows_different",
        "gauge",
        ("table",),
        "Rows that differed, were missing or extra, in the last verify",
    ),
    Metric("shadow_verify_age_seconds", "gauge", ("table",), "Age of the last complete verify of the table; -1: never"),
    Metric("shadow_reverse_lag_changes", "gauge", (), "Changes made on PostgreSQL that SQLite does not have yet"),
    Metric("shadow_reverse_applied_total", "counter", (), "Row changes that flowed back into SQLite"),
    Metric("shadow_switches_total", "counter", ("direction", "outcome"), "Cutovers and rollbacks by outcome"),
    Metric("shadow_switch_wait_seconds", "gauge", ("direction",), "How long the fence was held in the last switch"),
    Metric(
        "shadow_worker_restarts_total",
        "counter",
        ("worker",),
        "Times a worker of the agent was started again after an error",
    ),
)
