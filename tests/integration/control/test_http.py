"""The agent over HTTP: health, status, mismatches with both results, the flag there and back, and who may do what."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg2
import pytest
from liveagent import LiveAgent, fetch, live_agent, new_database, traffic, until

TOKEN = "s3cret"


@pytest.fixture(scope="module")
def agent(pg_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveAgent]:
    import sqlite3

    folder = tmp_path_factory.mktemp("http")
    path = folder / "app.db"
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("PRAGMA journal_mode=WAL")
    with new_database(pg_server) as dsn, live_agent(dsn, path, folder, SHADOW_TOKEN=TOKEN) as running:
        yield running


def get(agent: LiveAgent, path: str) -> tuple[int, Any]:
    status, body = fetch(agent.url + path)
    return status, json.loads(body)


def post(agent: LiveAgent, path: str, body: object = None, token: str | None = TOKEN) -> tuple[int, Any]:
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(agent.url + path, json.dumps(body or {}).encode(), headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def on_postgres(agent: LiveAgent, statement: str) -> None:
    with closing(psycopg2.connect(agent.dsn)) as conn, conn, conn.cursor() as cursor:
        cursor.execute(statement)


def test_health_says_what_is_checked(agent: LiveAgent) -> None:
    assert get(agent, "/readyz") == (200, {"ok": True, "checks": get(agent, "/readyz")[1]["checks"]})
    status, body = get(agent, "/healthz")
    assert (status, body["checks"]["apply"]) == (200, "ok")


def test_status_is_what_the_command_says(agent: LiveAgent) -> None:
    status, seen = get(agent, "/api/v1/status")
    said = json.loads(agent.shadow("status", "--json").stdout)
    assert status == 200
    assert set(seen) == set(said)
    assert (seen["primary"], seen["epoch"], seen["pair"]) == ("sqlite", 1, "public")
    assert [gate["name"] for gate in seen["gates"]] == [gate["name"] for gate in said["gates"]]


def test_a_path_that_is_not_there_is_an_error_in_json(agent: LiveAgent) -> None:
    assert get(agent, "/api/v1/nothing") == (404, {"ok": False, "error": "Not Found"})
    assert get(agent, "/static/../app.py")[0] == 404


def test_the_page_and_its_files_come_from_here_alone(agent: LiveAgent) -> None:
    with urllib.request.urlopen(agent.url + "/", timeout=10) as answer:
        html, headers = answer.read().decode(), answer.headers
    assert 'src="/static/page.js"' in html
    assert "http" not in html.replace("http-equiv", "")
    assert "script-src 'self'" in headers["Content-Security-Policy"]
    assert headers["X-Frame-Options"] == "DENY"
    for name in ("page.js", "page.css"):
        status, text = fetch(f"{agent.url}/static/{name}")
        assert status == 200
        assert "https://" not in text


@pytest.mark.parametrize("path", ["cutover", "rollback", "verify", "mismatches/1/resolve"])
def test_a_changing_call_needs_the_token(agent: LiveAgent, path: str) -> None:
    for token in (None, "wrong"):
        status, body = post(agent, f"/api/v1/{path}", token=token)
        assert (status, body["ok"]) == (401, False)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("cutover", {"dryrun": True}),
        ("cutover", {"drain_timeout": -1}),
        ("cutover", {"drain_timeout": "soon"}),
        ("rollback", {"force": ["lag"]}),
        ("cutover", [1]),
    ],
)
def test_a_misspelt_request_changes_nothing_and_is_one_line(agent: LiveAgent, path: str, body: object) -> None:
    status, said = post(agent, f"/api/v1/{path}", body)
    assert (status, said["ok"]) == (422, False)
    assert "\n" not in said["error"]
    assert get(agent, "/api/v1/status")[1]["primary"] == "sqlite"


def test_a_difference_is_shown_with_both_results_and_settled_by_a_person(agent: LiveAgent) -> None:
    on_postgres(agent, "SET shadow.applier = 'on'; UPDATE kpis SET is_active = false WHERE name = 'revenue'")

    def shown() -> list[dict[str, Any]]:
        traffic(agent.sqlite_path, agent.dsn)
        return list(get(agent, "/api/v1/mismatches")[1]["mismatches"])

    until("the read that differs", lambda: bool(shown()))
    found = get(agent, "/api/v1/mismatches")[1]["mismatches"]
    assert [one["reason"] for one in found] == ["rows"]
    assert (found[0]["origin_result"]["rows"], found[0]["target_result"]["rows"]) == ([[2]], [[1]])
    told = agent.shadow("mismatches")
    assert told.returncode == 1
    assert "SELECT COUNT(*) FROM kpis" in told.stdout
    assert post(agent, "/api/v1/verify", {"tables": ["kpis"]})[1]["rows_wrong"] == 1
    settle = f"/api/v1/mismatches/{found[0]['id']}/resolve"
    assert post(agent, settle) == (200, {"ok": True, "resolved": 1})
    assert post(agent, settle)[0] == 404
    assert get(agent, "/api/v1/mismatches")[1]["mismatches"] == []
    assert get(agent, "/api/v1/mismatches?resolved=true")[1]["mismatches"][0]["resolved_at"]
    until("it to come back, because it still differs", lambda: bool(shown()))
    mended = agent.shadow("verify", "--repair", "--json")
    assert (mended.returncode, json.loads(mended.stdout)["repaired_rows"]) == (0, 1)
    assert post(agent, "/api/v1/verify")[1]["equal"]
    agent.shadow("mismatches", "--resolve", str(found[0]["id"]))
    assert agent.shadow("mismatches").returncode == 0


def test_there_and_back_over_http(agent: LiveAgent) -> None:
    assert post(agent, "/api/v1/verify")[1]["equal"]

    def ready() -> bool:
        traffic(agent.sqlite_path, agent.dsn)
        return bool(get(agent, "/api/v1/status")[1]["ready"])

    until("every gate to open", ready)
    status, rehearsed = post(agent, "/api/v1/cutover", {"dry_run": True})
    assert (status, rehearsed["result"], rehearsed["primary"]) == (200, "rehearsed", "sqlite")
    status, done = post(agent, "/api/v1/cutover", {"reason": "test"})
    assert (status, done["result"], done["primary"], done["who"]) == (200, "done", "postgres", "http:127.0.0.1")
    assert post(agent, "/api/v1/cutover")[0] == 409
    traffic(agent.sqlite_path, agent.dsn)
    assert get(agent, "/api/v1/status")[1]["primary"] == "postgres"
    assert post(agent, "/api/v1/verify")[1]["equal"]
    assert agent.shadow("verify").returncode == 0
    assert "PostgreSQL is primary" in agent.shadow("verify", "--repair").stderr
    status, back = post(agent, "/api/v1/rollback", {"reason": "test"})
    assert (status, back["result"], back["primary"]) == (200, "done", "sqlite")
    assert post(agent, "/api/v1/verify")[1]["equal"]
