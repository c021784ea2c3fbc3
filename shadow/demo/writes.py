"""What API writers and the worker do: every writing call of the data layer, booked with what a judge can check."""

from __future__ import annotations

import gc
from typing import Any

from .app import conversations, costs, datasources, jobs, llm, reports, settings
from .ledger import absent, added, appended, claimed, present, was_set
from .session import Action, Session

# --- conversations -----------------------------------------------------------------------------------------------


def add_message(s: Session) -> Any:
    token = s.token("message")
    counted = added("conversations", s.conversation, "message_count")
    with s.ledger.write("add_message", present("messages", "content", token), counted) as confirmed:
        message_id = conversations.add_message(s.conversation, "user", token, s.rng.random() * 500, {"n": 1, "é": "ü"})
        confirmed[0]["id"] = message_id
    s.messages.append(message_id or 0)
    return message_id


def add_exchange(s: Session) -> Any:
    question, answer = s.token("question"), s.token("answer")
    with s.ledger.write(
        "add_exchange",
        present("messages", "content", question),
        present("messages", "content", answer),
        added("conversations", s.conversation, "message_count", 2),
    ) as confirmed:
        ids = conversations.add_exchange(s.conversation, question, answer)
        confirmed[0]["id"], confirmed[1]["id"] = ids
    return list(ids)


def import_messages(s: Session) -> Any:
    tokens = [s.token("imported") for _ in range(s.rng.randrange(2, 6))]
    checks = [present("messages", "content", token) for token in tokens]
    counted = added("conversations", s.conversation, "message_count", len(tokens))
    with s.ledger.write("import_messages", *checks, counted):
        return conversations.import_messages(s.conversation, [("system", token) for token in tokens])


def set_feedback(s: Session) -> Any:
    if not s.messages:
        return None
    message_id, feedback = s.rng.choice(s.messages), s.rng.choice((-1, 1))
    with s.ledger.write("set_feedback", was_set("messages", "id", message_id, "feedback", feedback)):
        return conversations.set_feedback(message_id, feedback, s.rng.random() < 0.3)


def rename_conversation(s: Session) -> Any:
    title = f"new title {s.rng.randrange(10**6)}"
    old = s.rng.randrange(1, s.old_conversations + 1)
    with s.ledger.write("rename_conversation"):
        return conversations.rename_conversation(old, title)


def start_and_delete_conversation(s: Session) -> Any:
    """Opened, written to, deleted: nothing of it may come back."""
    title, content = s.token("short talk"), s.token("short message")
    with s.ledger.write("create_conversation"):
        short = conversations.create_conversation(None, title)
    with s.ledger.write("add_message"):
        conversations.add_message(short or 0, "assistant", content)
    gone = absent("conversations", "title", title), absent("messages", "content", content)
    with s.ledger.write("delete_conversation", *gone):
        return conversations.delete_conversation(short or 0)


def forgotten_draft(s: Session) -> Any:
    """The collector comes by at once: a connection is part of a cycle, and until then it holds the write lock."""
    token = s.token("draft")
    with s.ledger.write("forgotten_draft", absent("messages", "content", token)):
        conversations.forgotten_draft(s.conversation, token)
        gc.collect()


def new_conversation(s: Session) -> Any:
    s.open_conversation()
    return s.conversation


# --- data sources ------------------------------------------------------------------------------------------------


def create_datasource(s: Session) -> Any:
    name = s.token("short source")
    with s.ledger.write("create_datasource", absent("datasources", "name", name)):
        created = datasources.create_datasource(name, "mysql", None, False)
        again = datasources.create_datasource(name, "mysql", None, False)
        datasources.delete_datasource(created["id"])
        return [created, again]


def update_datasource(s: Session) -> Any:
    text = s.token("description")
    changes: dict[str, Any] = {"description": text, "is_active": s.rng.random() < 0.5}
    if s.rng.random() < 0.5:
        changes["connection_string"] = "postgres://u:p%40ss@h/db?x=1"
    with s.ledger.write("update_datasource", was_set("datasources", "id", s.datasource, "description", text)):
        return datasources.update_datasource(s.datasource, changes)


def mark_synced(s: Session) -> Any:
    with s.ledger.write("mark_synced"):
        return datasources.mark_synced(s.rng.choice((s.datasource, 1, 2, 3)))


def upsert_table(s: Session) -> Any:
    """The same few names again and again: each time the row is replaced and gets a new id."""
    name, rows = f"synced {s.name} {s.rng.randrange(5)}", s.rng.randrange(10**6)
    with s.ledger.write("upsert_table", was_set("tables", "name", name, "row_count", rows)) as confirmed:
        table_id = datasources.upsert_table(s.datasource, name, rows) or 0
        confirmed.append(was_set("tables", "name", name, "id", table_id))
    s.tables.append(table_id)
    return table_id


def toggle_table(s: Session) -> Any:
    with s.ledger.write("toggle_table"):
        return datasources.toggle_table(s.rng.randrange(1, 40))


def set_enabled(s: Session) -> Any:
    ids = sorted(s.rng.sample(range(1, 50), s.rng.randrange(1, 8)))
    with s.ledger.write("set_enabled"):
        return datasources.set_enabled(ids, s.rng.random() < 0.7)


def describe_table(s: Session) -> Any:
    with s.ledger.write("describe_table"):
        return datasources.describe_table(s.rng.randrange(1, 40), 'it\'s 50% of "all" – ünïcode ? :id %s')


def add_columns(s: Session) -> Any:
    """Some are there already and are left alone."""
    table_id = s.tables[-1] if s.tables else 1
    columns = [(f"c{s.rng.randrange(9)}", "text", False) for _ in range(3)]
    with s.ledger.write("add_columns"):
        count = datasources.add_columns(table_id, columns)
    s.columns.extend(column["id"] for column in datasources.list_columns(table_id)[-2:])
    return count


def profile_column(s: Session) -> Any:
    column_id = s.rng.choice((*s.columns, 5))
    with s.ledger.write("profile_column"):
        return datasources.profile_column(column_id, "x, y", s.rng.random())


def add_synonym(s: Session) -> Any:
    column_id = s.rng.choice((*s.columns, 9))
    with s.ledger.write("add_synonym"):
        return datasources.add_synonym(column_id, s.rng.choice(("total", "Summe", s.token("synonym"))))


def drop_synonyms(s: Session) -> Any:
    with s.ledger.write("drop_synonyms"):
        return datasources.drop_synonyms(s.rng.choice((*s.columns, 9)))


# --- reports -----------------------------------------------------------------------------------------------------


def run_report(s: Session) -> Any:
    report_id = s.rng.choice(s.shared_reports)
    with s.ledger.write("run_report", added("saved_reports", report_id, "run_count")):
        return reports.run_report(report_id)


def update_report(s: Session) -> Any:
    question = s.token("asks")
    changes = {"question": question, "is_pinned": s.rng.random() < 0.2, "tags": '["a", "b"]'}
    if s.rng.random() < 0.5:
        del changes["tags"]
    with s.ledger.write("update_report", was_set("saved_reports", "id", s.report, "question", question)):
        return reports.update_report(s.report, changes)


def duplicate_report(s: Session) -> Any:
    """A copy with widgets and key figures, deleted again with all of them."""
    with s.ledger.write("duplicate_report"):
        copy = reports.duplicate_report(s.rng.randrange(1, 40)) or 0
        reports.add_widget(copy, "bar", "of the copy")
        reports.add_kpi(copy, s.token("kpi"), 10.0)
        return [copy, reports.delete_report(copy)]


def add_kpi(s: Session) -> Any:
    """Every other one with a status that the CHECK refuses."""
    name, good = s.token("kpi"), s.rng.random() < 0.5
    check = present("kpis", "name", name) if good else absent("kpis", "name", name)
    with s.ledger.write("add_kpi", check) as confirmed:
        result = reports.add_kpi(s.report, name, float(s.rng.randrange(100)), "ok" if good else "splendid")
        if good:
            confirmed[0]["id"] = result["id"]
            s.kpis.append(result["id"])
    return result


def measure_kpi(s: Session) -> Any:
    with s.ledger.write("measure_kpi"):
        return reports.measure_kpi(s.rng.choice((*s.kpis, 1, 2, 3)), round(s.rng.random() * 200, 3))


def delete_kpi(s: Session) -> Any:
    """The newest one: a plain INTEGER PRIMARY KEY gives its id again."""
    name = s.token("short kpi")
    with s.ledger.write("delete_kpi", absent("kpis", "name", name)):
        created = reports.add_kpi(s.report, name, 1.0)
        return [created, reports.delete_kpi(created["id"])]


def add_widget(s: Session) -> Any:
    title = s.token("widget")
    with s.ledger.write("add_widget", present("widgets", "title", title)) as confirmed:
        widget_id = reports.add_widget(s.report, s.rng.choice(("bar", "pie")), title) or 0
        confirmed[0]["id"] = widget_id
    s.widgets.append(widget_id)
    return widget_id


def reorder_widgets(s: Session) -> Any:
    ids = s.rng.sample(list(s.widgets), len(s.widgets))
    with s.ledger.write("reorder_widgets"):
        return reports.reorder_widgets(s.report, ids)


def toggle_widget(s: Session) -> Any:
    with s.ledger.write("toggle_widget"):
        return reports.toggle_widget(s.rng.choice((*s.widgets, 1, 2)))


def cache_widget(s: Session) -> Any:
    if not s.widgets:
        return None
    widget_id, token = s.rng.choice(s.widgets), s.token("data")
    data = f'{{"rows": ["{token}"]}}'
    with s.ledger.write("cache_widget", was_set("widget_cache", "widget_id", widget_id, "data", data)):
        return reports.cache_widget(widget_id, {"rows": [token]}, 60 * 24)


def purge_cache(s: Session) -> Any:
    with s.ledger.write("purge_cache"):
        return reports.purge_cache()


# --- settings and questions --------------------------------------------------------------------------------------


def set_setting(s: Session) -> Any:
    key, value = f"load {s.name} {s.rng.randrange(4)}", s.rng.choice((s.token("value"), None))
    with s.ledger.write("set_setting", was_set("settings", "key", key, "value", value)):
        settings.set_setting(key, value)


def upsert_setting(s: Session) -> Any:
    key, value = f"load {s.name} {s.rng.randrange(4)}", s.token("value")
    with s.ledger.write("upsert_setting", was_set("settings", "key", key, "value", value)):
        settings.upsert_setting(key, value)


def delete_setting(s: Session) -> Any:
    key = s.token("short setting")
    with s.ledger.write("delete_setting", absent("settings", "key", key)):
        settings.set_setting(key, "x")
        return settings.delete_setting(key)


def add_questions(s: Session) -> Any:
    token = s.token("question?")
    with s.ledger.write("add_questions", present("suggested_questions", "question", token)):
        return settings.add_questions(
            s.datasource, [token, "asked before", "asked before"], s.rng.choice(("new", None))
        )


def replace_question(s: Session) -> Any:
    question = f"replaced by {s.name}"
    with s.ledger.write("replace_question") as confirmed:
        question_id = settings.replace_question(s.datasource, question, "replaced")
        confirmed.append(was_set("suggested_questions", "question", question, "id", question_id))
    return question_id


def use_question(s: Session) -> Any:
    question_id = s.rng.choice(s.shared_questions)
    with s.ledger.write("use_question", added("suggested_questions", question_id, "usage_count")):
        return settings.use_question(question_id)


def deactivate_unused(s: Session) -> Any:
    with s.ledger.write("deactivate_unused"):
        return settings.deactivate_unused(s.datasource)


# --- language models ---------------------------------------------------------------------------------------------


def record_cost(s: Session) -> Any:
    token = s.token("request")
    with s.ledger.write("record_cost", present("llm_costs", "request_id", token)) as confirmed:
        tokens = s.rng.randrange(10, 4000), s.rng.randrange(900)
        cost_id = costs.record_cost(s.rng.randrange(1, 13), s.conversation, token, tokens, s.rng.random() / 9)
        confirmed[0]["id"] = cost_id
    return cost_id


def purge_old_costs(s: Session) -> Any:
    with s.ledger.write("purge_old_costs"):
        return costs.purge_old(40)


def add_provider(s: Session) -> Any:
    """Taken already, in another case."""
    with s.ledger.write("add_provider"):
        return llm.add_provider(s.rng.choice(("OpenAI", "MISTRAL")), "again")


def toggle_provider(s: Session) -> Any:
    with s.ledger.write("toggle_provider"):
        return llm.toggle_provider(s.rng.randrange(1, 5))


def save_model(s: Session) -> Any:
    name, display = f"model of {s.name}", s.token("display")
    with s.ledger.write("save_model", was_set("llm_models", "model_name", name, "display_name", display)):
        llm.save_model(4, name, display, round(s.rng.random(), 6))


def set_default_model(s: Session) -> Any:
    with s.ledger.write("set_default_model"):
        return llm.set_default_model(s.rng.randrange(1, 13))


def store_secret(s: Session) -> Any:
    secret = s.rng.randbytes(48)
    with s.ledger.write("store_secret"):
        llm.store_secret(s.rng.randrange(1, 5), f"token of {s.name}", secret, b"\x00" + s.rng.randbytes(11))


def delete_secret(s: Session) -> Any:
    name = s.token("short secret")
    with s.ledger.write("delete_secret", absent("llm_secrets", "name", name)):
        llm.store_secret(2, name, b"\xff\x00'\\", b"")
        return llm.delete_secret(2, name)


def new_prompt_version(s: Session) -> Any:
    name, template = f"prompt of {s.name}", s.token("template")
    with s.ledger.write("new_prompt_version") as confirmed:
        prompt_id = llm.new_prompt_version(name, template)
        confirmed.append(was_set("llm_prompts", "id", prompt_id, "template", template))
    return prompt_id


def trim_prompts(s: Session) -> Any:
    """Keeps so many that the ones checked at the end are still there."""
    with s.ledger.write("trim_prompts"):
        return llm.trim_prompts(s.rng.choice(("answer", "title")), 1000)


# --- jobs --------------------------------------------------------------------------------------------------------


def enqueue(s: Session) -> Any:
    with s.ledger.write("enqueue") as confirmed:
        job_id = jobs.enqueue(s.rng.randrange(1, 6), "sync", s.rng.randrange(1, 9)) or 0
        confirmed.append(added("catalog_jobs", job_id, "current_step", 0))
    s.jobs.append(job_id)
    return job_id


def claim_job(s: Session) -> Any:
    """Several clients look at the same open job; one gets it."""
    job = jobs.next_pending()
    if job is None or not take(s, job["id"]):
        return None
    work(s, job["id"], 2)
    return job


def take(s: Session, job_id: int) -> bool:
    with s.ledger.write("claim") as confirmed:
        won = jobs.claim(job_id, s.name)
        if won:
            confirmed.append(claimed("catalog_jobs", job_id, "claimed_by", s.name))
    return won


def work(s: Session, job_id: int, steps: int) -> None:
    for _ in range(steps):
        item = s.token("step")
        with s.ledger.write(
            "report_progress",
            added("catalog_jobs", job_id, "current_step"),
            appended("catalog_jobs", job_id, "log", item),
        ):
            jobs.report_progress(job_id, item + ";")
    error = "it's broken: 100%" if s.rng.random() < 0.2 else None
    with s.ledger.write("finish_job", was_set("catalog_jobs", "id", job_id, "error", error)):
        jobs.finish(job_id, error)


def exclusive_job(s: Session) -> Any:
    """A job of a kind that only the worker takes, under BEGIN IMMEDIATE."""
    with s.ledger.write("enqueue"):
        jobs.enqueue(1, f"exclusive {s.name}", 3)
    with s.ledger.write("claim_exclusively") as confirmed:
        job_id = jobs.claim_exclusively(s.name, f"exclusive {s.name}")
        if job_id is not None:
            confirmed.append(claimed("catalog_jobs", job_id, "claimed_by", s.name))
    if job_id is not None:
        work(s, job_id, 3)
    return job_id


def create_dataset(s: Session) -> Any:
    name = s.token("Set")
    with s.ledger.write("create_dataset", present("datasets", "name", name)) as confirmed:
        dataset_id = jobs.create_dataset(s.datasource, name, [1, 2, 3]) or 0
        confirmed[0]["id"] = dataset_id
    s.datasets.append(dataset_id)
    return [dataset_id, jobs.create_dataset(s.datasource, name, [])]


def make_default(s: Session) -> Any:
    if not s.datasets:
        return None
    dataset_id = s.rng.choice(s.datasets)
    with s.ledger.write("make_default", was_set("datasets", "id", dataset_id, "datasource_id", s.datasource)):
        jobs.make_default(s.datasource, dataset_id)
    return dataset_id


def delete_dataset(s: Session) -> Any:
    name = s.token("short set")
    with s.ledger.write("delete_dataset", absent("datasets", "name", name)):
        dataset_id = jobs.create_dataset(2, name, []) or 0
        return jobs.delete_dataset(dataset_id)


# --- housekeeping, run by the worker -----------------------------------------------------------------------------


def housekeeping(s: Session) -> Any:
    with s.ledger.write("housekeeping"):
        return [
            conversations.archive_old(s.rng.choice((150, 180))),
            conversations.delete_empty_conversations(),
            jobs.cancel_stuck(48),
            jobs.delete_finished(20),
        ]


def _actions(*calls: Any) -> list[Action]:
    return [Action(call.__name__, call, False) for call in calls]


#: What API writers do, one of each kind; the busiest appear several times.
WRITES = _actions(
    *[add_message, run_report, use_question, record_cost] * 4,
    *[add_exchange, upsert_table, set_setting, upsert_setting, enqueue, claim_job] * 2,
    import_messages, set_feedback, rename_conversation, start_and_delete_conversation, forgotten_draft,
    new_conversation, create_datasource, update_datasource, mark_synced, toggle_table, set_enabled, describe_table,
    add_columns, profile_column, add_synonym, drop_synonyms, update_report, duplicate_report, add_kpi, measure_kpi,
    delete_kpi, add_widget, reorder_widgets, toggle_widget, cache_widget, delete_setting, add_questions,
    replace_question, deactivate_unused, add_provider, toggle_provider, save_model, set_default_model, store_secret,
    delete_secret, new_prompt_version, trim_prompts, create_dataset, make_default, delete_dataset,
)  # fmt: skip

#: What the worker does besides: jobs with progress, and cleaning up.
WORK = _actions(
    *[exclusive_job, enqueue, claim_job] * 4, housekeeping, purge_cache, purge_old_costs, mark_synced, upsert_table
)
