"""Alert rules and the dashboard ask for metrics that exist, and every alert has its section in the document."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from grandstand.telemetry.metrics import REGISTRY

ROOT = Path(__file__).parents[2]
ALERTS = ROOT / "deploy/prometheus/alerts.yml"
DASHBOARD = ROOT / "deploy/grafana/grandstand.json"
RUNBOOKS = ROOT / "docs/operating/alerts.md"


def names() -> set[str]:
    """Names of all series, as Prometheus shows them."""
    found = set()
    for metric in REGISTRY.collect():
        match metric.type:
            case "counter":
                found.add(f"{metric.name}_total")
            case "histogram":
                found |= {f"{metric.name}_{part}" for part in ("bucket", "sum", "count")}
            case _:
                found.add(metric.name)
    return found


def rules() -> list[dict[str, Any]]:
    document = yaml.safe_load(ALERTS.read_text())
    return [rule for group in document["groups"] for rule in group["rules"]]


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_an_alert_can_fire_and_says_what_to_do(rule: dict[str, Any]) -> None:
    asked = set(re.findall(r"grandstand_\w+", rule["expr"]))
    assert asked or rule["alert"] == "GrandstandDown"
    assert asked <= names()
    assert rule["labels"]["severity"] in ("page", "ticket")
    path, _, anchor = rule["annotations"]["runbook"].partition("#")
    assert ROOT / path == RUNBOOKS
    assert anchor == rule["alert"].lower()
    assert f"\n## {rule['alert']}\n" in RUNBOOKS.read_text()


def test_no_section_is_about_an_alert_that_is_gone() -> None:
    sections = set(re.findall(r"^## (Grandstand\w+)$", RUNBOOKS.read_text(), re.MULTILINE))
    assert sections == {rule["alert"] for rule in rules()}


def test_the_dashboard_asks_for_what_there_is() -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    shown = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
    asked = {
        name for panel in shown for target in panel["targets"] for name in re.findall(r"grandstand_\w+", target["expr"])
    }
    assert asked <= names()
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in dashboard["panels"]}
    assert len(places) == len(dashboard["panels"])
