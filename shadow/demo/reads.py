"""What API readers ask: every reading call of the app's data layer, with the arguments users would send."""

from __future__ import annotations

from typing import Any

from .app import conversations, costs, database, datasources, jobs, llm, reports, settings
from .app.seed import MODELS, PROVIDERS
from .session import Action, Session

WORDS = ("order", "Amount", "sta%us", "über", "x_y", "100%", "e")


def _word(s: Session) -> str:
    return s.rng.choice(WORDS)


def _conversation(s: Session) -> int:
    return s.rng.choice((s.conversation, s.rng.randrange(1, s.old_conversations + 1), 10**9))


def _column(s: Session) -> int:
    return s.rng.choice((*s.columns, s.rng.randrange(1, 300)))


def _secret(s: Session) -> list[str] | None:
    found = llm.load_secret(s.rng.randrange(1, 6), "api_key")
    if found is None:
        return None
    ciphertext, nonce = found
    return [ciphertext.hex(), nonce[:2].hex()]  # fails on anything but bytes, as the cipher would


def _setting(s: Session) -> dict[str, Any]:
    keys = ("theme", "language", "Language", "empty", "none", "no such key")
    return {key: settings.get_setting(key, "default") for key in s.rng.sample(keys, 2)}


def _report(s: Session) -> Any:
    return reports.get_report(s.rng.choice((s.report, *s.shared_reports, s.rng.randrange(1, 60))))


def _cached(s: Session) -> Any:
    return reports.cached_widget(s.rng.choice((*s.widgets, s.rng.randrange(1, 80))))


def _datasource(s: Session) -> Any:
    return datasources.get_datasource(s.rng.choice((s.datasource, 1, 2, 999)))


def _model_name(s: Session) -> str:
    return s.rng.choice([name.upper() for name, _ in PROVIDERS] + list(MODELS))


READS = [
    Action(name, call, True)
    for name, call in (
        ("process_start", lambda s: database.run_migrations()),
        ("list_datasources", lambda s: datasources.list_datasources(s.rng.random() < 0.5)),
        ("list_active_datasources", lambda s: datasources.list_datasources(True)),
        ("get_datasource", _datasource),
        ("stale_datasources", lambda s: datasources.stale_datasources(s.rng.choice((1, 7, 30)))),
        ("overview", lambda s: datasources.overview()),
        ("list_tables", lambda s: datasources.list_tables(s.rng.randrange(1, 7))),
        ("disabled_tables", lambda s: datasources.disabled_tables()),
        ("enabled_table_ids", lambda s: datasources.enabled_table_ids(s.rng.randrange(1, 7))),
        ("largest_tables", lambda s: datasources.largest_tables(s.rng.choice((3, 10, -1)))),
        ("search_tables", lambda s: datasources.search_tables(_word(s))),
        ("orphaned_tables", lambda s: datasources.orphaned_tables()),
        ("list_columns", lambda s: datasources.list_columns(s.rng.choice((*s.tables, 1, 7)))),
        ("column_search", lambda s: datasources.column_search(_word(s))),
        ("synonyms_of", lambda s: datasources.synonyms_of(_column(s))),
        ("synonym_summary", lambda s: datasources.synonym_summary()),
        (
            "list_conversations",
            lambda s: conversations.list_conversations(s.rng.choice((5, 20, 50)), s.rng.choice((0, 20))),
        ),
        ("list_all_conversations", lambda s: conversations.list_conversations(-1)[:3]),
        ("get_conversation", lambda s: conversations.get_conversation(_conversation(s))),
        ("recent_context", lambda s: conversations.recent_context(_conversation(s), s.rng.choice((2, 6)))),
        ("flagged_messages", lambda s: conversations.flagged_messages()),
        ("search_messages", lambda s: conversations.search_messages(_word(s))),
        ("messages_per_day", lambda s: conversations.messages_per_day(s.rng.choice((7, 30, 90)))),
        ("conversation_totals", lambda s: conversations.totals()),
        ("list_reports", lambda s: reports.list_reports()),
        ("get_report", _report),
        ("search_reports", lambda s: reports.search_reports(_word(s))),
        ("kpi_board", lambda s: reports.kpi_board()),
        ("kpi_ids", lambda s: reports.kpi_ids()[:20]),
        ("widgets_of", lambda s: reports.widgets_of(s.rng.choice((s.report, s.rng.randrange(1, 40))))),
        ("cached_widget", _cached),
        ("cache_statistics", lambda s: reports.cache_statistics()),
        ("get_setting", _setting),
        ("all_settings", lambda s: settings.all_settings(s.rng.choice(("", "l", "max_")))),
        ("suggest", lambda s: settings.suggest(s.rng.randrange(1, 7), s.rng.choice((3, 10)))),
        ("categories", lambda s: settings.categories()),
        ("next_pending", lambda s: jobs.next_pending()),
        ("job_status", lambda s: jobs.job_status(s.rng.choice((*s.jobs, s.rng.randrange(1, 60))))),
        ("recent_jobs", lambda s: jobs.recent_jobs(10)),
        ("job_counts", lambda s: jobs.job_counts()),
        ("datasets_of", lambda s: jobs.datasets_of(s.rng.choice((s.datasource, 1, 2)))),
        ("list_providers", lambda s: llm.list_providers()),
        ("find_provider", lambda s: llm.find_provider(_model_name(s))),
        ("list_models", lambda s: llm.list_models(s.rng.random() < 0.8)),
        ("load_secret", _secret),
        ("secret_inventory", lambda s: llm.secret_inventory()),
        ("active_prompt", lambda s: llm.active_prompt(s.rng.choice(("answer", "title", "nothing")))),
        ("prompt_names", lambda s: llm.prompt_names()),
        ("costs_by_day", lambda s: costs.costs_by_day(s.rng.choice((7, 30)))),
        ("costs_by_hour", lambda s: costs.costs_by_hour()),
        ("costs_by_model", lambda s: costs.costs_by_model(s.rng.choice((7, 30)))),
        ("latest_per_model", lambda s: costs.latest_per_model()),
        ("total_cost", lambda s: costs.total_cost()),
        ("costs_of_conversation", lambda s: costs.costs_of_conversation(_conversation(s))),
        ("expensive_requests", lambda s: costs.expensive_requests(5)),
        ("budget_used", lambda s: costs.budget_used("2026-01")),
        ("costs_today", lambda s: costs.today()),
    )
]
