"""A real agent, and a real Prometheus that scrapes it.

Prometheus is Debian's package `prometheus`; `make test` installs it when it can (dashboards/ensure-prometheus.sh).
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlencode

import pytest
import yaml
from liveagent import LiveAgent, fetch, free_port, live_agent, new_database, process, until

DASHBOARDS = Path(__file__).parents[3] / "dashboards"


@pytest.fixture(scope="module")
def agent(pg_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveAgent]:
    """One agent for all questions of a module."""
    folder = tmp_path_factory.mktemp("dashboards")
    path = folder / "app.db"
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("PRAGMA journal_mode=WAL")
    with new_database(pg_server) as dsn, live_agent(dsn, path, folder) as running:
        yield running


class Prometheus:
    """The HTTP API of a running server."""

    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, path: str, **params: str) -> dict[str, object]:
        status, body = fetch(f"{self.url}/api/v1/{path}?{urlencode(params)}")
        found: dict[str, object] = json.loads(body) if body else {"status": f"http {status}"}
        return found

    def query(self, expr: str) -> list[dict[str, object]]:
        """The result; raises with Prometheus's own words when the expression is wrong."""
        answer = self.ask("query", query=expr)
        assert answer["status"] == "success", f"{expr}: {answer.get('error')}"
        data = answer["data"]
        assert isinstance(data, dict)
        return list(data["result"])


@pytest.fixture
def prometheus(agent: LiveAgent, tmp_path: Path) -> Iterator[Prometheus | None]:
    """Our own configuration, but for the target's address and the pace. None where there is no Prometheus."""
    if shutil.which("prometheus") is None:
        yield None
        return

    given = yaml.safe_load((DASHBOARDS / "prometheus" / "prometheus.yml").read_text())
    given["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    given["scrape_configs"][0]["static_configs"][0]["targets"] = [agent.url.removeprefix("http://")]
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(given))
    shutil.copy(DASHBOARDS / "prometheus" / "rules.yml", tmp_path / "rules.yml")
    url = f"http://127.0.0.1:{free_port()}"
    command = [
        "prometheus",
        f"--config.file={tmp_path / 'prometheus.yml'}",
        f"--storage.tsdb.path={tmp_path / 'tsdb'}",
        f"--web.listen-address={url.removeprefix('http://')}",
    ]
    with process(command, tmp_path / "prometheus.log") as running:
        until("Prometheus to start", lambda: fetch(f"{url}/-/ready")[0] == 200 or running.poll() is not None)
        assert running.poll() is None, (tmp_path / "prometheus.log").read_text()
        server = Prometheus(url)
        until("three scrapes", lambda: bool(server.query('sum_over_time(up{job="shadow"}[1m]) >= 3')))
        yield server
