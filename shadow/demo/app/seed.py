"""Old data: what an installation of this kind has collected before anybody thought of moving it.

Deterministic for a seed (apart from the day it is made), a few thousand rows, with the dirt of real files: orphans,
'n/a' in an INTEGER column, timestamps in three spellings, text where JSON was meant.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

from . import database
from .database import get_db

PROVIDERS = (("openai", "OpenAI"), ("anthropic", "Anthropic"), ("mistral", "Mistral"), ("local", "Local models"))
MODELS = ("small", "medium", "large")
SUBJECTS = ("orders", "customers", "invoices", "payments", "products", "visits", "stock", "returns", "staff", "leads")
#: Rows that only the load touches, so that a judge can add up what it was told: reports that count runs.
SHARED_REPORTS = ("counter: one", "counter: two", "counter: three")
SHARED_DATASOURCE = "shared by the load"
SHARED_QUESTIONS = 4


def seed(scale: int = 1, *, random_seed: int = 1) -> int:
    """Fill an empty catalogue; about 4,000 rows per `scale`. Returns the number of rows."""
    rng = random.Random(random_seed)
    now = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
    with get_db() as conn:
        _catalogue(conn, rng, now, scale)
        _conversations(conn, rng, now, 120 * scale)
        _reports(conn, rng, now, 40 * scale)
        _settings_and_jobs(conn, rng, now, scale)
        _llm(conn, rng, now, 2000 * scale)
        _shared(conn)
        names = [
            row[0]
            for row in conn.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
            ).fetchall()
        ]
        counts = (conn.execute(f'SELECT COUNT(*) FROM "{name}"').fetchone()[0] for name in names)
        return sum(counts)


def _ago(rng: random.Random, now: datetime, days: int) -> str:
    """A moment of the last `days`; the app once wrote ISO format with T, and once microseconds."""
    moment = now - timedelta(seconds=rng.randrange(600, days * 86400))
    spelling = rng.random()
    if spelling < 0.03:
        return moment.isoformat()
    if spelling < 0.06:
        return f"{moment:%Y-%m-%d %H:%M:%S}.{rng.randrange(1_000_000):06d}"
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def _catalogue(conn: database.sqlite3.Connection, rng: random.Random, now: datetime, scale: int) -> None:
    sources = 5 + scale
    conn.executemany(
        "INSERT INTO datasources (id, name, type, connection_string, description, is_active, created_at, updated_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (i, f"source {i}", rng.choice(("postgres", "mysql", "csv")), f"host=db{i}", f"Datenquelle № {i} – über",
             i % 4 != 0, _ago(rng, now, 300), _ago(rng, now, 30))
            for i in range(1, sources + 1)
        ],
    )  # fmt: skip
    table_id = column_id = 0
    for source in range(1, sources + 1):
        for place, subject in enumerate(SUBJECTS):
            table_id += 1
            row_count: object = "n/a" if table_id == 7 else None if place == 9 else rng.randrange(10, 5_000_000)
            conn.execute(
                "INSERT INTO tables (id, datasource_id, name, description, row_count, is_enabled, created_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                # Two tables belong to a data source that was deleted: nothing enforced the key.
                (table_id, 999 if table_id in (3, 14) else source, subject, f"All {subject} of source {source}",
                 row_count, rng.random() < 0.8, _ago(rng, now, 300)),
            )  # fmt: skip
            for name in ("id", "name", "created_at", "amount", "status", "note"):
                column_id += 1
                conn.execute(
                    "INSERT INTO columns (id, table_id, name, data_type, is_primary_key, sample_values, distinct_ratio)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (column_id, table_id, name, "bigint" if name == "id" else "text", name == "id",
                     None if rng.random() < 0.5 else "a, b, c", round(rng.random(), 3)),
                )  # fmt: skip
                if column_id % 5 == 0:
                    conn.execute(
                        "INSERT INTO synonyms (column_id, synonym, source) VALUES (?, ?, ?)",
                        (column_id, rng.choice(("Betrag", "état", "sum", "label")), rng.choice(("user", "model"))),
                    )


def _conversations(conn: database.sqlite3.Connection, rng: random.Random, now: datetime, count: int) -> None:
    message_id = 0
    for i in range(1, count + 1):
        started = _ago(rng, now, 200)
        messages = 0 if i % 17 == 0 else rng.randrange(2, 14)
        conn.execute(
            "INSERT INTO conversations (id, datasource_id, title, message_count, is_archived, created_at, updated_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (i, rng.choice((1, 2, 3, None)), f"About {rng.choice(SUBJECTS)}", messages, i % 11 == 0, started, started),
        )
        for place in range(messages):
            message_id += 1
            conn.execute(
                "INSERT INTO messages (id, conversation_id, role, content, sql_query, latency_ms, created_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (message_id, i, "assistant" if place % 2 else "user",
                 f"Wie viele {rng.choice(SUBJECTS)}? 100% ✓ {place}",
                 "SELECT COUNT(*) FROM orders WHERE note LIKE '50%'" if place % 2 else None,
                 rng.random() * 900 if place % 2 else None, started),
            )  # fmt: skip


def _reports(conn: database.sqlite3.Connection, rng: random.Random, now: datetime, count: int) -> None:
    for i in range(1, count + 1):
        created = _ago(rng, now, 200)
        conn.execute(
            "INSERT INTO saved_reports (id, datasource_id, title, question, sql_query, chart_config, is_pinned,"
            " run_count, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (i, 1 + i % 5, f"{rng.choice(SUBJECTS).title()} by month {i}", "How many?", "SELECT 1", '{"type": "bar"}',
             i % 9 == 0, rng.randrange(50), created, None if i % 3 else created),
        )  # fmt: skip
        conn.execute(
            "INSERT INTO kpis (dashboard_id, report_id, name, target, current_value, unit, status)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (i % 3, i, f"kpi {i}", float(rng.randrange(50, 200)), rng.random() * 200, rng.choice(("%", "€", "#")),
             rng.choice(("ok", "warning", "critical"))),
        )  # fmt: skip
        for place in range(2):
            cursor = conn.execute(
                "INSERT INTO widgets (report_id, kind, title, position, config) VALUES (?, ?, ?, ?, ?)",
                (
                    i,
                    rng.choice(("table", "bar", "line", "pie", "number")),
                    f"widget {place}",
                    place,
                    '{"color": "#0a0"}',
                ),
            )
            conn.execute(
                "INSERT INTO widget_cache (widget_id, data, row_count, expires_at) VALUES (?, ?, ?, ?)",
                (cursor.lastrowid, '{"rows": [1, 2, 3]}', 3, _ago(rng, now, 20)),
            )


def _settings_and_jobs(conn: database.sqlite3.Connection, rng: random.Random, now: datetime, scale: int) -> None:
    conn.executemany(
        "INSERT INTO settings (key, value) VALUES (?, ?)",
        [
            ("theme", "dark"),
            ("language", "de"),
            ("Language", "en"),
            ("max_rows", "1000"),
            ("empty", ""),
            ("none", None),
        ],
    )
    conn.executemany(
        "INSERT INTO suggested_questions (datasource_id, question, category, usage_count) VALUES (?, ?, ?, ?)",
        [(1 + i % 5, f"How many {s} in week {i}?", rng.choice(("sales", "ops", None)), rng.randrange(9))
         for i in range(20 * scale) for s in SUBJECTS[:3]],
    )  # fmt: skip
    for i in range(60 * scale):
        created = _ago(rng, now, 60)
        status = ("completed", "completed", "failed", "cancelled")[i % 4]
        conn.execute(
            "INSERT INTO catalog_jobs (datasource_id, status, progress, current_step, total_steps, log, created_at,"
            " started_at, finished_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (1 + i % 7, status, 100.0 if status == "completed" else 12.5, 10, 10, "", created, created, created),
        )
    conn.executemany(
        "INSERT INTO datasets (datasource_id, name, table_ids, is_default) VALUES (?, ?, ?, ?)",
        [(i, name, "[1, 2]", name == "Main") for i in range(1, 6) for name in ("Main", "test", "archive")],
    )


def _llm(conn: database.sqlite3.Connection, rng: random.Random, now: datetime, costs: int) -> None:
    models = 0
    for provider_id, (name, display_name) in enumerate(PROVIDERS, start=1):
        conn.execute(
            "INSERT INTO llm_providers (id, name, display_name) VALUES (?, ?, ?)", (provider_id, name, display_name)
        )
        conn.execute(
            "INSERT INTO llm_secrets (provider_id, name, ciphertext, nonce) VALUES (?, 'api_key', ?, ?)",
            (provider_id, rng.randbytes(64), b"\x00\xff" + rng.randbytes(10)),
        )
        for model in MODELS:
            models += 1
            conn.execute(
                "INSERT INTO llm_models (id, provider_id, model_name, display_name, input_price, output_price,"
                " is_default) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (models, provider_id, f"{name}-{model}", f"{display_name} {model}", rng.random() / 100,
                 rng.random() / 30, models == 1),
            )  # fmt: skip
    for name in ("answer", "title", "explain"):
        for version in (1, 2):
            conn.execute(
                "INSERT INTO llm_prompts (name, version, template, is_active) VALUES (?, ?, ?, ?)",
                (name, version, f"You are {{role}}. {name} v{version}: 'quote' \"double\" %s ? :name", version == 2),
            )
    conn.executemany(
        "INSERT INTO llm_costs (model_id, conversation_id, request_id, input_tokens, output_tokens, total_cost,"
        " duration_ms, success, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            # Some costs belong to a model that is gone.
            (77 if i % 250 == 0 else rng.randrange(1, models + 1), rng.randrange(1, 120), f"old-{i}",
             rng.randrange(10, 4000), rng.randrange(1, 900), rng.random() / 7, rng.randrange(100, 9000), i % 20 != 0,
             _ago(rng, now, 45))
            for i in range(costs)
        ],
    )  # fmt: skip


def _shared(conn: database.sqlite3.Connection) -> None:
    """Rows that several clients of the load write at once; their counters start at zero."""
    conn.execute("INSERT INTO datasources (name, type) VALUES (?, 'csv')", (SHARED_DATASOURCE,))
    source = conn.execute("SELECT id FROM datasources WHERE name = ?", (SHARED_DATASOURCE,)).fetchone()[0]
    for title in SHARED_REPORTS:
        conn.execute("INSERT INTO saved_reports (title, sql_query) VALUES (?, 'SELECT 1')", (title,))
    for i in range(SHARED_QUESTIONS):
        conn.execute(
            "INSERT INTO suggested_questions (datasource_id, question) VALUES (?, ?)", (source, f"shared question {i}")
        )
