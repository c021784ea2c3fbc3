"""docker-compose.shadow.yml fits DataTalk's compose file and this repository; there is no docker on build machines."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from shadow.agent.settings import AgentSettings
from shadow.cli.reference import VARIABLES

ROOT = Path(__file__).parents[3]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.shadow.yml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if name not in ("api", "worker")}


def with_defaults(text: str) -> str:
    """What compose makes of ${NAME:-default} when nothing is set."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)


def mounts(service: dict[str, Any]) -> list[tuple[str, str, str]]:
    """(type, source, target) of each mount, in both notations."""
    found = []
    for mount in service.get("volumes", []):
        if isinstance(mount, dict):
            found.append((mount["type"], with_defaults(mount["source"]), mount["target"]))
        else:
            source, target = with_defaults(mount).split(":")[:2]
            found.append(("bind" if source.startswith((".", "/")) else "volume", source, target))
    return found


def test_the_services_are_those_of_the_plan() -> None:
    assert set(SERVICES) == {"api", "worker", "postgres", "shadow-agent", "shadow-prometheus", "shadow-grafana"}
    assert set(COMPOSE["networks"]) == {"datatalk-net"}
    assert {"datatalk-sqlite", "postgres-data"} <= set(COMPOSE["volumes"])


def test_postgres_is_as_the_migration_plan_has_it() -> None:
    postgres = SERVICES["postgres"]
    assert postgres["image"] == "postgres:16-alpine"
    assert postgres["container_name"] == "datatalk-postgres"
    assert with_defaults(postgres["environment"]["POSTGRES_PASSWORD"]) == "datatalk_dev"
    assert "pg_isready" in postgres["healthcheck"]["test"][1]
    assert ("volume", "postgres-data", "/var/lib/postgresql/data") in mounts(postgres)


@pytest.mark.parametrize("name", sorted(OURS))
def test_each_service_of_ours_has_health_network_and_restarts(name: str) -> None:
    service = OURS[name]
    assert service["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")
    assert {"interval", "timeout", "retries"} <= set(service["healthcheck"])
    assert service["networks"] == ["datatalk-net"]
    assert service["restart"] == "unless-stopped"
    for dependency in service.get("depends_on", {}):
        assert "healthcheck" in SERVICES[dependency]


@pytest.mark.parametrize("name", sorted(OURS))
def test_ports_are_published_on_this_machine_only(name: str) -> None:
    for port in OURS[name].get("ports", []):
        assert with_defaults(port).startswith("127.0.0.1:")


def test_every_mounted_path_and_volume_exists() -> None:
    seen = 0
    for service in SERVICES.values():
        for kind, source, _ in mounts(service):
            if kind == "volume":
                assert source in COMPOSE["volumes"]
            else:
                assert (ROOT / source).is_dir(), source
                seen += 1
    assert seen == 3


def test_a_missing_folder_is_an_error_and_not_an_empty_mount() -> None:
    for service in SERVICES.values():
        for mount in service.get("volumes", []):
            if isinstance(mount, dict):
                assert mount["bind"]["create_host_path"] is False
                assert mount["read_only"] is True


def test_the_agent_sees_the_apps_file_and_the_app_keeps_its_own_settings() -> None:
    agent = SERVICES["shadow-agent"]
    assert ("volume", "datatalk-sqlite", "/data/sqlite") in mounts(agent)
    assert with_defaults(agent["environment"]["SQLITE_PATH"]).startswith("/data/sqlite/")
    for name in ("api", "worker"):
        assert set(SERVICES[name]) == {"environment"}
        assert "SQLITE_PATH" not in SERVICES[name]["environment"]
        # Both sides of the pair must mean the same database and schema.
        for variable, value in SERVICES[name]["environment"].items():
            assert agent["environment"][variable] == value


def test_every_variable_is_one_that_is_read() -> None:
    known = {*VARIABLES.values(), *(f"SHADOW_{name.upper()}" for name in AgentSettings.model_fields)}
    for name in ("api", "worker", "shadow-agent"):
        assert set(SERVICES[name]["environment"]) <= known


def test_the_image_is_built_from_what_is_there() -> None:
    folder = ROOT / with_defaults(SERVICES["shadow-agent"]["build"]["context"])
    lines = (folder / "Dockerfile").read_text("utf-8").splitlines()
    sources = [word for line in lines if line.startswith("COPY") for word in line.split()[1:-1]]
    assert sources
    for source in sources:
        assert (folder / source).exists(), source
    allowed = (folder / ".dockerignore").read_text("utf-8").splitlines()
    assert all(f"!{source}" in allowed for source in sources)


def test_grafana_and_prometheus_find_each_other_and_the_agent() -> None:
    def load(*parts: str) -> Any:
        return yaml.safe_load(ROOT.joinpath("dashboards", *parts).read_text("utf-8"))

    targets = load("prometheus", "prometheus.yml")["scrape_configs"][0]["static_configs"][0]["targets"]
    port = SERVICES["shadow-agent"]["environment"]["SHADOW_HTTP_PORT"]
    assert targets == [f"shadow-agent:{port}"]
    url = load("grafana", "provisioning", "datasources", "prometheus.yml")["datasources"][0]["url"]
    assert url == "http://shadow-prometheus:9090"
    path = load("grafana", "provisioning", "dashboards", "shadow.yml")["providers"][0]["options"]["path"]
    assert path in [target for _, _, target in mounts(SERVICES["shadow-grafana"])]
