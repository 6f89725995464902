"""docker-compose.yml: it parses, images are pinned, health is checked, ports stay on loopback."""

from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / "docker-compose.yml").read_text()))


def test_default_profile_is_the_service_alone(compose: dict[str, Any]) -> None:
    assert [name for name, service in compose["services"].items() if not service.get("profiles")] == ["tieout"]


def test_profiles_hold_what_they_promise(compose: dict[str, Any]) -> None:
    def of(profile: str) -> set[str]:
        return {name for name, service in compose["services"].items() if profile in service.get("profiles", [])}

    assert of("local-aws") == {"tieout-local-aws", "moto"}
    assert of("localstack") == {"localstack", "kafka"}
    assert of("kafka") == {"kafka"}


def test_every_image_is_pinned_and_every_service_has_a_healthcheck(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        _, _, tag = service["image"].rpartition(":")
        assert tag and tag != "latest" and tag[0].isdigit(), name
        assert service["healthcheck"]["test"], name
    assert compose["services"]["localstack"]["image"].endswith(":4.14.0")


def test_ports_are_published_on_loopback_only(compose: dict[str, Any]) -> None:
    published = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert {"127.0.0.1:4566:4566", "127.0.0.1:9092:9092"} <= set(published)
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_the_image_it_builds_exists_and_runs_unprivileged(compose: dict[str, Any]) -> None:
    dockerfile = (ROOT / compose["services"]["tieout"]["build"]["dockerfile"]).read_text()
    assert "USER tieout" in dockerfile and "--require-hashes" in dockerfile


def test_the_scorer_s_image_is_started_the_way_sagemaker_does() -> None:
    dockerfile = (ROOT / "infra" / "images" / "scorer.Dockerfile").read_text()
    assert 'ENTRYPOINT ["tieout", "model"]' in dockerfile and "EXPOSE 8080" in dockerfile
