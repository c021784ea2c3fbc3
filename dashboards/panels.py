"""What the dashboard shows: rows of panels, each with what it asks Prometheus. `generate.py` makes JSON of it."""

from __future__ import annotations

from dataclasses import dataclass, field

GREEN, ORANGE, RED, BLUE = "green", "orange", "red", "blue"


@dataclass(frozen=True, slots=True)
class Query:
    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel: `kind` is Grafana's panel type; thresholds are (from, colour) with the first as the base."""

    title: str
    kind: str  # stat | timeseries | table
    queries: tuple[Query, ...]
    width: int
    height: int
    description: str
    unit: str = "short"
    thresholds: tuple[tuple[float | None, str], ...] = ((None, GREEN),)
    mappings: tuple[tuple[str, str, str], ...] = ()  # value, text, colour
    name_from: bool = False  # stat: show the series' name instead of its value
    stacked: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    title: str
    panels: tuple[Panel, ...] = field(default_factory=tuple)


ZERO_IS_GOOD = ((None, GREEN), (1.0, RED))
UP_DOWN = (("0", "down", RED), ("1", "up", GREEN))
OPEN_CLOSED = (("0", "closed", RED), ("1", "open", GREEN))

ROWS = (
    Row(
        "Where we are",
        (
            Panel(
                "Primary",
                "stat",
                (Query("shadow_primary == 1", "{{side}}"),),
                4,
                4,
                "The database that accepts the app's writes.",
                name_from=True,
                thresholds=((None, BLUE),),
            ),
            Panel(
                "Epoch", "stat", (Query("shadow_epoch"),), 2, 4, "Raised by every switch.", thresholds=((None, BLUE),)
            ),
            Panel(
                "PostgreSQL",
                "stat",
                (Query("shadow_postgres_up"),),
                3,
                4,
                "Whether the agent can use PostgreSQL. Down: the journal grows, the app notices nothing.",
                mappings=UP_DOWN,
                thresholds=((None, RED), (1.0, GREEN)),
            ),
            Panel(
                "SQLite",
                "stat",
                (Query("shadow_sqlite_up"),),
                3,
                4,
                "Whether the agent can read the SQLite file.",
                mappings=UP_DOWN,
                thresholds=((None, RED), (1.0, GREEN)),
            ),
            Panel(
                "Gates open",
                "stat",
                (Query("sum(shadow_gate_open) / count(shadow_gate_open)"),),
                4,
                4,
                "Share of cutover gates that are open; the table below names the closed ones.",
                unit="percentunit",
                thresholds=((None, ORANGE), (1.0, GREEN)),
            ),
            Panel(
                "Mismatches",
                "stat",
                (Query("shadow_mismatches_unresolved"),),
                4,
                4,
                "Statement shapes with a mismatch that nobody resolved. `shadow mismatches` shows both results.",
                thresholds=ZERO_IS_GOOD,
            ),
            Panel(
                "Divergences",
                "stat",
                (Query("shadow_divergences_unresolved"),),
                4,
                4,
                "Writes that had another effect on PostgreSQL, not yet settled.",
                thresholds=ZERO_IS_GOOD,
            ),
        ),
    ),
    Row(
        "Journal and apply",
        (
            Panel(
                "Lag, seconds",
                "timeseries",
                (Query("shadow_lag_seconds", "age of the oldest record not applied"),),
                8,
                8,
                "How far PostgreSQL is behind, in time.",
                unit="s",
            ),
            Panel(
                "Lag, records",
                "timeseries",
                (Query("shadow_lag_records", "not yet applied"),),
                8,
                8,
                "How far PostgreSQL is behind, in transactions.",
            ),
            Panel(
                "Apply rate",
                "timeseries",
                (
                    Query("rate(shadow_apply_transactions_total[1m])", "transactions"),
                    Query("rate(shadow_apply_statements_total[1m])", "statements"),
                ),
                8,
                8,
                "What the applier gets done per second.",
                unit="ops",
            ),
            Panel(
                "Duration of an applied group",
                "timeseries",
                (
                    Query("histogram_quantile(0.5, sum by (le) (rate(shadow_apply_seconds_bucket[5m])))", "median"),
                    Query("histogram_quantile(0.99, sum by (le) (rate(shadow_apply_seconds_bucket[5m])))", "p99"),
                ),
                8,
                8,
                "One PostgreSQL transaction of the applier.",
                unit="s",
            ),
            Panel(
                "Not applied, and tried again",
                "timeseries",
                (
                    Query("increase(shadow_apply_skipped_total[5m])", "skipped: {{reason}}"),
                    Query("increase(shadow_apply_retries_total[5m])", "again: {{reason}}"),
                ),
                8,
                8,
                "Statements that apply left out (their tables become dirty), and rounds started again; per 5 minutes.",
            ),
            Panel(
                "Journal size",
                "timeseries",
                (Query("shadow_journal_bytes", "bytes kept in SQLite"),),
                8,
                8,
                "Grows while PostgreSQL is away; trimmed after PostgreSQL has the records.",
                unit="bytes",
            ),
        ),
    ),
    Row(
        "Reads compared",
        (
            Panel(
                "Compared reads by verdict",
                "timeseries",
                (Query("sum by (verdict) (rate(shadow_reads_compared_total[1m]))", "{{verdict}}"),),
                8,
                8,
                "Reads that were run on both sides at one position.",
                unit="ops",
                stacked=True,
            ),
            Panel(
                "Not comparable, share",
                "timeseries",
                (
                    Query(
                        "sum(rate(shadow_reads_not_comparable_total[5m]))"
                        " / clamp_min(sum(rate(shadow_reads_seen_total[5m])), 0.001)",
                        "share of reads seen",
                    ),
                ),
                8,
                8,
                "Reads without a verdict. Above 5 % the proof is thin.",
                unit="percentunit",
                thresholds=((None, GREEN), (0.05, RED)),
            ),
            Panel(
                "Why not comparable",
                "timeseries",
                (
                    Query("sum by (reason) (increase(shadow_reads_not_comparable_total[5m]))", "{{reason}}"),
                    Query("sum by (reason) (increase(shadow_samples_dropped_total[5m]))", "dropped: {{reason}}"),
                ),
                8,
                8,
                "By reason, per 5 minutes. A dropped class of samples closes the coverage gate.",
                stacked=True,
            ),
            Panel(
                "Coverage of statement shapes",
                "timeseries",
                (Query("shadow_shapes", "{{state}}"),),
                8,
                8,
                "compared: at least once; waiting: seen, not yet compared; unsupported: no faithful translation.",
                stacked=True,
            ),
            Panel(
                "Mismatches and divergences",
                "timeseries",
                (
                    Query("shadow_mismatches_unresolved", "mismatches unresolved"),
                    Query("shadow_divergences_unresolved", "divergences unresolved"),
                ),
                8,
                8,
                "Both must be 0 before a cutover.",
            ),
            Panel(
                "Duration of a compared read",
                "timeseries",
                (
                    Query(
                        "histogram_quantile(0.95, sum by (side, le) (rate(shadow_compare_seconds_bucket[5m])))",
                        "p95 {{side}}",
                    ),
                ),
                8,
                8,
                "The same reads on both sides: what the app will feel after the cutover.",
                unit="s",
            ),
        ),
    ),
    Row(
        "Proof and gates",
        (
            Panel(
                "Gates",
                "table",
                (Query("shadow_gate_open", "{{gate}}"),),
                8,
                9,
                "Every gate must be open before `shadow cutover`; `shadow status` gives the reasons.",
                mappings=OPEN_CLOSED,
                thresholds=((None, RED), (1.0, GREEN)),
            ),
            Panel(
                "Last verify, by table",
                "table",
                (Query("shadow_verify_age_seconds", "{{table}}"),),
                8,
                9,
                "Age of the last complete verify of each table; -1: never.",
                unit="s",
            ),
            Panel(
                "Rows different, by table",
                "timeseries",
                (Query("shadow_verify_rows_different", "{{table}}"),),
                8,
                9,
                "Rows that differed, were missing or extra in the last verify.",
            ),
            Panel(
                "Dirty tables",
                "timeseries",
                (Query("shadow_dirty_tables", "tables that wait for repair"),),
                8,
                7,
                "Apply skips a dirty table until it is repaired; reads that touch it are not comparable.",
            ),
            Panel(
                "Repaired rows",
                "timeseries",
                (Query("increase(shadow_repaired_rows_total[5m])", "rows in 5 minutes"),),
                8,
                7,
                "Rows brought back in line.",
            ),
            Panel(
                "Agent's workers started again",
                "timeseries",
                (Query("increase(shadow_worker_restarts_total[5m])", "{{worker}}"),),
                8,
                7,
                "After an error, with backoff; the agent's log says which.",
            ),
        ),
    ),
    Row(
        "The switch and the way back",
        (
            Panel(
                "Reverse lag",
                "timeseries",
                (Query("shadow_reverse_lag_changes", "changes not yet in SQLite"),),
                8,
                8,
                "While PostgreSQL is primary: what a rollback would still have to bring back.",
            ),
            Panel(
                "Reverse rate",
                "timeseries",
                (Query("rate(shadow_reverse_applied_total[1m])", "row changes"),),
                8,
                8,
                "Row changes that flow back into SQLite, per second.",
                unit="ops",
            ),
            Panel(
                "Wait of the last switch",
                "stat",
                (Query("shadow_switch_wait_seconds", "{{direction}}"),),
                4,
                8,
                "How long the fence was held.",
                unit="s",
                thresholds=((None, GREEN), (0.25, ORANGE), (2.0, RED)),
            ),
            Panel(
                "Switches",
                "stat",
                (Query("sum by (direction, outcome) (shadow_switches_total)", "{{direction}}: {{outcome}}"),),
                4,
                8,
                "Cutovers and rollbacks that this agent carried out, by outcome.",
                thresholds=((None, BLUE),),
            ),
        ),
    ),
)
