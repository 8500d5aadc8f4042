"""What deploy/ ships is what Kubernetes and the commands take, and keeps to the rules that it is there for."""

from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from grandstand.settings import ENV_PREFIX, ROLES, Settings, load_settings
from tests.support.compose import COMPOSE, read_compose, substitute

ROOT = Path(__file__).parents[2]
KUBERNETES = ROOT / "deploy/kubernetes"
VERSIONS = ("1.30", kubernetes_validate.latest_version())
"""The oldest that the manifests are for, and the newest that is known."""
OF_OTHERS = ("Kustomization", "HTTPRoute")
"""Kinds that are not Kubernetes' own: no schema is there."""


@cache
def objects() -> list[Any]:
    return [
        pytest.param(document, id=f"{path.stem}-{document['kind']}")
        for path in sorted(KUBERNETES.glob("*.yaml"))
        for document in yaml.safe_load_all(path.read_text())
    ]


def of_kind(kind: str) -> dict[str, dict[str, Any]]:
    documents = (parameter.values[0] for parameter in objects())
    return {found["metadata"]["name"]: found for found in documents if found["kind"] == kind}


def pods() -> dict[str, Any]:
    both = of_kind("Deployment") | of_kind("Job")
    return {name: found["spec"]["template"]["spec"] for name, found in both.items()}


@pytest.mark.parametrize("document", [one for one in objects() if one.values[0]["kind"] not in OF_OTHERS])
def test_kubernetes_takes_it(document: dict[str, Any]) -> None:
    for version in VERSIONS:
        kubernetes_validate.validate(document, version, strict=True)


def test_every_role_has_probes_a_budget_and_limits() -> None:
    deployments = of_kind("Deployment")
    assert set(deployments) == {f"grandstand-{role}" for role in ROLES}
    budgets = of_kind("PodDisruptionBudget")
    for role in ROLES:
        name = f"grandstand-{role}"
        spec = deployments[name]["spec"]
        (container,) = spec["template"]["spec"]["containers"]
        assert container["args"] == ["serve", "--role", role]
        assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(container)
        assert (
            budgets[name]["spec"]["selector"]["matchLabels"].items() <= spec["template"]["metadata"]["labels"].items()
        )
        assert budgets[name]["spec"]["minAvailable"] < spec["replicas"], "a node can be drained"
        grace_seconds = spec["template"]["spec"]["terminationGracePeriodSeconds"]
        assert grace_seconds > Settings.model_fields["shutdown_timeout_seconds"].default


@pytest.mark.parametrize(("name", "pod"), pods().items(), ids=pods())
def test_a_pod_may_do_no_more_than_it_must(name: str, pod: dict[str, Any]) -> None:
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
    }  # fmt: skip
    assert {"cpu", "memory"} <= set(container["resources"]["requests"])
    assert "memory" in container["resources"]["limits"]


def test_workers_grow_with_the_lag_and_each_scaler_has_its_deployment() -> None:
    scalers = of_kind("HorizontalPodAutoscaler")
    assert {name: scaler["spec"]["scaleTargetRef"]["name"] for name, scaler in scalers.items()} == {
        name: name for name in scalers
    }
    metrics = scalers["grandstand-worker"]["spec"]["metrics"]
    asked = [metric["external"]["metric"]["name"] for metric in metrics if metric["type"] == "External"]
    assert asked == ["grandstand_stream_lag_seconds"]
    assert "grandstand-scheduler" not in scalers


def test_the_route_knows_the_services_and_sends_what_comes_in_to_ingest() -> None:
    ports = {name: {port["port"] for port in found["spec"]["ports"]} for name, found in of_kind("Service").items()}
    incoming, rest = of_kind("HTTPRoute")["grandstand"]["spec"]["rules"]
    assert incoming["matches"] == [{"method": "POST", "path": {"type": "PathPrefix", "value": "/api/events"}}]
    for rule, service in ((incoming, "grandstand-ingest"), (rest, "grandstand-api")):
        (backend,) = rule["backendRefs"]
        assert backend["name"] == service
        assert backend["port"] in ports[service]


def test_the_kustomization_has_every_file_but_what_comes_before() -> None:
    listed = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())["resources"]
    before = {"kustomization.yaml", "secret.example.yaml", "migrate.yaml"}
    assert set(listed) == {path.name for path in KUBERNETES.glob("*.yaml")} - before


def check_settings(given: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Every variable is a setting, and they are good together."""
    known = {ENV_PREFIX + name.upper() for name in Settings.model_fields}
    assert set(given) <= known
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    load_settings()


def test_the_settings_for_kubernetes_are_good(monkeypatch: pytest.MonkeyPatch) -> None:
    config = of_kind("ConfigMap")["grandstand"]["data"]
    check_settings(config | of_kind("Secret")["grandstand"]["stringData"], monkeypatch)


def test_the_settings_for_compose_are_good(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [line.partition("=")[0] for line in (ROOT / "deploy/example.env").read_text().splitlines() if "=" in line]
    values = {name: f"gs_{name.split('_')[1].lower()}_{'x' * 20}" for name in names if not name.startswith("#")}
    for service in read_compose()["services"].values():
        environment = service.get("environment", {})
        filled = {name: substitute(value, values) for name, value in environment.items() if name.startswith(ENV_PREFIX)}
        check_settings(filled, monkeypatch)


def test_the_compose_file_has_every_role_and_keeps_what_is_promised() -> None:
    services = read_compose()["services"]
    assert {name for name, service in services.items() if service.get("command", [""])[0] == "serve"} == set(ROLES)
    for name in ("migrate", *ROLES):
        assert services[name]["read_only"] is True
        assert services[name]["cap_drop"] == ["ALL"]
    assert {"--appendonly yes", "--appendfsync always", "--maxmemory-policy noeviction"} <= set(
        services["valkey"]["command"]
    )
    for name in ("postgres", "valkey"):
        assert services[name]["volumes"]
        assert "ports" not in services[name], "nobody outside reaches an engine"
    needed = {need for service in services.values() for need in service.get("depends_on", {})}
    assert needed <= set(services)
    assert COMPOSE.with_name("Dockerfile").is_file()
