import json
import re
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard, dashboardv2beta1, prometheus

from exporter.rules import Settings, rules
from grafana.__main__ import FILES, files
from grafana.parts import encoded
from grafana.version2 import Encoder
from tests.support.paths import TOP

_SCHEMA = json.loads((TOP / "tests" / "support" / "dashboard.schema.json").read_text())


def _load(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((TOP / "grafana" / name).read_text())
    return loaded


def _panels(content: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for panel in content["panels"]:
        yield from panel.get("panels", ())
        if panel["type"] != "row":
            yield panel


@pytest.mark.parametrize("name", FILES)
def test_the_committed_dashboard_is_what_the_generator_makes(name: str) -> None:
    assert (TOP / "grafana" / name).read_text() == encoded(FILES[name]()), "run make dashboards"


def test_the_files_for_new_versions_of_grafana_are_current() -> None:
    for name, text in files().items():
        assert (TOP / "grafana" / name).read_text() == text, "run make dashboards"
    assert len(files()) == 2 * len(FILES)


@pytest.mark.parametrize("name", FILES)
def test_the_newer_schema_has_the_same_panels_rows_and_variables(name: str) -> None:
    old, new = _load(name), _load(name.replace(".json", ".v2.json"))
    assert (new["apiVersion"], new["kind"]) == ("dashboard.grafana.app/v2beta1", "Dashboard")
    assert new["metadata"]["name"] == old["uid"]
    spec = new["spec"]
    queries = sorted(target["expr"] for panel in _panels(old) for target in panel["targets"])
    elements = spec["elements"]
    asked = [one["spec"] for panel in elements.values() for one in panel["spec"]["data"]["spec"]["queries"]]
    assert sorted(one["query"]["spec"]["expr"] for one in asked) == queries
    assert {one["query"]["datasource"]["name"] for one in asked} == {"${datasource}"}
    placed = [one for one in _values_of(spec["layout"], "name") if isinstance(one, str)]
    assert sorted(placed) == sorted(elements)
    rows = [(one["title"], one["collapsed"]) for one in old["panels"] if one["type"] == "row"]
    made = [one["spec"] for one in spec["layout"]["spec"].get("rows", ())]
    assert [(one["title"], one["collapse"]) for one in made] == rows
    named = {one["name"]: one["type"] for one in old["templating"]["list"]}
    kinds = {one["spec"]["name"]: one["kind"].removesuffix("Variable").lower() for one in spec["variables"]}
    assert kinds == named
    asked = [one["spec"]["query"]["spec"]["expr"] for one in spec["annotations"]]
    assert asked == [one["expr"] for one in old["annotations"]["list"]]
    chosen = [one["spec"]["query"]["spec"]["query"] for one in spec["variables"] if one["kind"] == "QueryVariable"]
    assert chosen == [one["query"] for one in old["templating"]["list"] if one["type"] == "query"]


@pytest.mark.parametrize("name", FILES)
def test_a_dashboard_is_valid_by_the_schema_of_grafana(name: str) -> None:
    jsonschema.Draft7Validator.check_schema(_SCHEMA)
    validator = jsonschema.Draft7Validator(_SCHEMA)
    loaded = _load(name)
    for key in ("__inputs", "__requires"):  # of the page for importing by hand, not of a dashboard
        assert loaded.pop(key)
    assert [error.message for error in validator.iter_errors(loaded)] == []
    loaded["panels"][0]["gridPos"]["w"] = "wide"
    assert list(validator.iter_errors(loaded))


@pytest.mark.parametrize("name", FILES)
def test_nothing_is_written_that_the_types_of_grafana_12_do_not_have(name: str) -> None:
    """By npm's @grafana/schema 12.2.0 and 13.2.3, against which TypeScript compiled these files once."""
    old, new = _load(name), _load(name.replace(".json", ".v2.json"))
    assert list(_values_of(new, "regexApplyTo")) == []
    assert [*_values_of(old, "footer"), *_values_of(new, "footer")] == []
    steps = [one for several in _values_of(new, "steps") for one in several]
    assert len(steps) > 5
    assert all(isinstance(one["value"], (int, float)) for one in steps)


@pytest.mark.parametrize("name", FILES)
def test_grafanas_models_know_all_that_is_in_a_dashboard(name: str) -> None:
    """No Grafana has loaded the files here. Its SDK reads and writes them, and nothing gets lost on that way."""
    old, new = _load(name), _load(name.replace(".json", ".v2.json"))
    for key in ("__inputs", "__requires"):
        old.pop(key)
    for given, models, encoder in ((old, dashboard, JSONEncoder), (new["spec"], dashboardv2beta1, Encoder)):
        made = json.loads(encoder().encode(models.Dashboard.from_json(given)))
        assert list(_lost(given, made)) == []
        assert list(_lost(given | {"panel": 1}, made)) == ["/panel"]
    for target in (one for panel in _panels(old) for one in panel["targets"]):
        assert list(_lost(target, json.loads(JSONEncoder().encode(prometheus.Dataquery.from_json(target))))) == []


def _lost(given: Any, made: Any, path: str = "") -> Iterator[str]:
    """What is in the one and not, or with another value, in the other."""
    if isinstance(given, dict) and isinstance(made, dict):
        for key, value in given.items():
            yield from _lost(value, made.get(key), f"{path}/{key}")
    elif isinstance(given, list) and isinstance(made, list) and len(given) == len(made):
        for number, (one, other) in enumerate(zip(given, made, strict=True)):
            yield from _lost(one, other, f"{path}/{number}")
    elif given != made:
        yield path


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


@pytest.mark.parametrize("name", FILES)
def test_each_panel_and_row_has_a_number_of_its_own(name: str) -> None:
    numbers = [one["id"] for row in _load(name)["panels"] for one in (row, *row.get("panels", ()))]
    assert sorted(numbers) == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("name", FILES)
def test_sizes_are_shown_in_powers_of_ten(name: str) -> None:
    binary = {"bytes", "bits", "kbytes", "mbytes", "gbytes", "binBps", "KiBs", "MiBs"}
    found = {one for one in _values_of(_load(name), "unit") if isinstance(one, str)}
    for panel in _panels(_load(name)):
        for override in panel["fieldConfig"]["overrides"]:
            found |= {one["value"] for one in override["properties"] if one["id"] == "unit"}
    assert found >= {"decbytes", "Bps"}
    assert not found & binary


def _values_of(part: Any, key: str) -> Iterator[Any]:
    """The values of a key, at any depth."""
    if isinstance(part, dict):
        yield from (value for name, value in part.items() if name == key)
        part = list(part.values())
    for inner in part if isinstance(part, list) else ():
        yield from _values_of(inner, key)


def test_the_host_dashboard_opens_on_one_host_with_two_rows_open() -> None:
    loaded = _load("docker-storage.json")
    rows = {one["title"]: one["collapsed"] for one in loaded["panels"] if one["type"] == "row"}
    assert [title for title, closed in rows.items() if not closed] == ["Now", "Growth"]
    variables = {one["name"]: one for one in loaded["templating"]["list"]}
    # Where All is among the choices, Grafana opens with it.
    assert not variables["instance"].get("includeAll")
    assert variables["instance"]["multi"]
    for name, everything in (("job", ".+"), ("cluster", ".*")):  # where there is no label, it is the empty one
        assert (variables[name]["multi"], variables[name]["allValue"]) == (True, everything)
        assert variables[name]["current"]["value"] == "$__all"


@pytest.mark.parametrize("name", FILES)
def test_every_selector_has_all_variables(name: str) -> None:
    """A selector without one of them shows what was not chosen; a join without one of the labels mixes hosts."""
    queries = [target["expr"] for panel in _panels(_load(name)) for target in panel["targets"]]
    queries += [one["expr"] for one in _load(name)["annotations"]["list"] if "expr" in one]
    for query in queries:
        selectors = re.findall(r"[a-zA-Z_:]+\{([^}]*)\}", query)
        assert selectors
        for one in selectors:
            assert 'job=~"$job",cluster=~"$cluster"' in one, query
            assert ('instance=~"$instance"' in one) is (name == "docker-storage.json"), query
        for labels in re.findall(r"\b(?:on|by) \(([^)]*)\)", query):
            assert labels.startswith("cluster, job, instance"), query


#: Families with a value of 0 or 1.
_YES_OR_NO = re.compile(
    r"^docker_storage_(up|scanner_up|known|filesystem_readonly|watch_mode|container_running|scan_success"
    r"|build_info|root_info|sandbox_info)\{[^}]*\}$"
)


def test_what_is_yes_or_no_is_shown_as_a_word() -> None:
    shown = set()
    for panel in _panels(_load("docker-storage.json")):
        for index, target in enumerate(panel["targets"]):
            if not (found := _YES_OR_NO.match(re.split(r" \* | and on", target["expr"])[0].removeprefix("("))):
                continue
            shown.add(found[1])
            mappings = panel["fieldConfig"]["defaults"].get("mappings") or []
            for override in panel["fieldConfig"]["overrides"][index : index + 1]:
                mappings += [one["value"][0] for one in override["properties"] if one["id"] == "mappings"]
            words = {value: one["text"] for mapping in mappings for value, one in mapping["options"].items()}
            assert words == {"1": "yes", "0": "no"}, panel["title"]
    assert len(shown) == 10


def test_what_must_be_acted_on_is_red() -> None:
    panels = {one["title"]: one for one in _panels(_load("docker-storage.json"))}
    steps = panels["Root readable"]["fieldConfig"]["defaults"]["thresholds"]["steps"]
    assert steps == [{"color": "red", "value": None}, {"color": "green", "value": 1.0}]
    (words,) = panels["Root readable"]["fieldConfig"]["defaults"]["mappings"]
    assert words["options"]["0"]["color"] == "red"
    for title in ("Disk used", "Time to full", "Missing layers", "Scanner", "Deepest chain", "Inodes used"):
        steps = panels[title]["fieldConfig"]["defaults"]["thresholds"]["steps"]
        assert "red" in {one["color"] for one in steps}, title


@pytest.mark.parametrize("name", FILES)
def test_a_panel_that_names_a_runbook_links_to_it(name: str) -> None:
    linked = set()
    for panel in _panels(_load(name)):
        named = set(re.findall(r"Docker(?:Storage|Container)\w+", panel["description"]))
        links = {one["url"].removeprefix("http://${exporter}/runbooks/") for one in panel.get("links") or ()}
        assert links == named, panel["title"]
        linked |= links
    assert len(linked) > 4
    assert all((TOP / "docs/runbooks" / f"{one}.md").exists() for one in linked)
    assert "exporter" in {one["name"] for one in _load(name)["templating"]["list"]}


@pytest.mark.parametrize("name", FILES)
def test_alerts_are_listed_and_annotated(name: str) -> None:
    loaded = _load(name)
    assert any("ALERTS{" in one.get("expr", "") for one in loaded["annotations"]["list"])
    (panel,) = (one for one in _panels(loaded) if one["title"] == "Alerts")
    assert "ALERTS{" in panel["targets"][0]["expr"]
    assert panel["fieldConfig"]["defaults"]["noValue"] == "No alert is pending."


@pytest.mark.parametrize("name", FILES)
def test_an_import_by_hand_asks_for_the_datasource(name: str) -> None:
    loaded = _load(name)
    (asked,) = loaded["__inputs"]
    assert (asked["name"], asked["type"], asked["pluginId"]) == ("DS_PROMETHEUS", "datasource", "prometheus")
    (source,) = (one for one in loaded["templating"]["list"] if one["type"] == "datasource")
    assert source["current"]["value"] == "${DS_PROMETHEUS}"
    needed = {one["id"] for one in loaded["__requires"] if one["type"] == "panel"}
    assert needed == {one["type"] for one in _panels(loaded)}


def test_panels_read_the_recording_rules() -> None:
    recorded = set(re.findall(r"record: (\S+)", rules(Settings())))
    read = set()
    for name in FILES:
        read |= set(re.findall(r"\b[a-z]+:docker_storage_\w+:\w+", (TOP / "grafana" / name).read_text()))
    assert read <= recorded
    assert len(read) >= 4


#: What a first scan serves one by one, so that a sum over a host is a part of it until the scan is done.
_ONE_BY_ONE = r"(directory|reclaimable|layers|container_writable|volume|image)_\w*bytes"


@pytest.mark.parametrize("name", FILES)
def test_sums_wait_for_the_end_of_the_first_scan(name: str) -> None:
    loaded, guarded = _load(name), set()
    asked = {one["name"]: one["expr"] for one in loaded["annotations"]["list"] if "expr" in one}
    for panel in _panels(loaded):
        for target in panel["targets"]:
            asked[f"{panel['title']} {target['refId']}"] = target["expr"]
    one_sum = r"sum by \(cluster, job, instance(?:, service|, compose_project|, namespace)?\) \([^)]*docker_storage_"
    for title, query in asked.items():
        if re.search(one_sum + _ONE_BY_ONE, query):
            guarded.add(title)
            assert "docker_storage_initial_scan_trees_done" in query, title
    assert len(guarded) > 3


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
