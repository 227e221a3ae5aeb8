import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
import yaml

from grafana.__main__ import FILES
from grafana.parts import encoded
from tests.support.paths import TOP

_SCHEMA = json.loads((TOP / "tests" / "support" / "dashboard.schema.json").read_text())


def _load(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((TOP / "grafana" / name).read_text())
    return loaded


def _panels(dashboard: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for panel in dashboard["panels"]:
        yield from panel.get("panels", ())
        if panel["type"] != "row":
            yield panel


@pytest.mark.parametrize("name", FILES)
def test_the_committed_dashboard_is_what_the_generator_makes(name: str) -> None:
    assert (TOP / "grafana" / name).read_text() == encoded(FILES[name]()), "run make dashboards"


@pytest.mark.parametrize("name", FILES)
def test_a_dashboard_is_valid_by_the_schema_of_grafana(name: str) -> None:
    jsonschema.Draft7Validator.check_schema(_SCHEMA)
    validator = jsonschema.Draft7Validator(_SCHEMA)
    loaded = _load(name)
    assert [error.message for error in validator.iter_errors(loaded)] == []
    loaded["panels"][0]["gridPos"]["w"] = "wide"
    assert list(validator.iter_errors(loaded))


@pytest.mark.parametrize("name", FILES)
def test_every_panel_has_a_description_a_unit_and_no_fixed_datasource(name: str) -> None:
    for panel in _panels(_load(name)):
        assert panel["description"], panel["title"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}, panel["title"]
        assert {target["datasource"]["uid"] for target in panel["targets"]} == {"${datasource}"}
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24, panel["title"]
        if panel["type"] == "table":
            assert all(target["instant"] and target["format"] == "table" for target in panel["targets"])
        else:
            assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        if panel["type"] == "timeseries":
            assert panel["options"]["legend"]["showLegend"], panel["title"]


@pytest.mark.parametrize("name", FILES)
def test_panels_do_not_overlap(name: str) -> None:
    dashboard = _load(name)
    for group in (dashboard["panels"], *(row["panels"] for row in dashboard["panels"] if row.get("panels"))):
        taken: dict[tuple[int, int], str] = {}
        for panel in group:
            at = panel["gridPos"]
            for x in range(at["x"], at["x"] + at["w"]):
                for y in range(at["y"], at["y"] + at["h"]):
                    assert taken.setdefault((x, y), panel["title"]) == panel["title"]


def test_the_dashboards_link_to_each_other() -> None:
    assert "/d/docker-storage-fleet" in json.dumps(_load("docker-storage.json")["links"])
    assert "/d/docker-storage?" in json.dumps(_load("docker-storage-fleet.json"))


def test_compose_and_provisioning_name_files_that_exist() -> None:
    services = yaml.safe_load((TOP / "compose.yaml").read_text())["services"]
    root = services["exporter"]["volumes"][0]
    assert root["read_only"]
    assert root["bind"]["propagation"] == "rslave"
    sources = [str(one).split(":")[0] for service in services.values() for one in service["volumes"]]
    files = [source for source in sources if source.startswith("./")]
    assert len(files) == 5
    assert all((TOP / file).exists() for file in files)
    provider = yaml.safe_load((TOP / "grafana/provisioning/dashboards/docker-storage.yml").read_text())
    folder = provider["providers"][0]["options"]["path"]
    assert any(f":{folder}/docker-storage.json" in str(one) for one in services["grafana"]["volumes"])
    datasource = yaml.safe_load((TOP / "grafana/provisioning/datasources/prometheus.yml").read_text())
    assert datasource["datasources"][0]["url"] == "http://prometheus:9090"
    scraped = yaml.safe_load((TOP / "prometheus/prometheus.yml").read_text())["scrape_configs"]
    assert scraped[0]["job_name"] == "docker-storage"
    assert scraped[0]["static_configs"][0]["targets"] == ["exporter:9588"]
