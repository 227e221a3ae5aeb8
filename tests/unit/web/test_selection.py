"""Which families a query of a scrape asks for."""

import asyncio
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exporter.config.limits import COLLECTORS, SUMS, Shown
from exporter.expose.metrics import catalogue
from exporter.expose.metrics.families import families
from exporter.figures.figures import Figures
from exporter.web.selection import Selection, SelectionError
from tests.support.changing import HOSTS, Host
from tests.support.product import scan

_TEXT = b"""# HELP docker_storage_up h
# TYPE docker_storage_up gauge
docker_storage_up 1
# HELP docker_storage_image_layers h
# TYPE docker_storage_image_layers gauge
docker_storage_image_layers{image_id="# HELP a"} 2
# HELP docker_storage_scans_total h
# TYPE docker_storage_scans_total counter
docker_storage_scans_total 3
"""


def _kept(query: str, text: bytes = _TEXT) -> list[str]:
    lines = b"".join(Selection(query).of([text])).decode().splitlines()
    return [line.split()[0].split("{")[0] for line in lines if not line.startswith("#")]


def test_without_names_and_collectors_everything_is_meant() -> None:
    for query in ("", "x=1", "name=docker_storage_up"):
        assert not Selection(query)
        assert len(_kept(query)) == 3


def test_names_and_collectors() -> None:
    assert _kept("name[]=docker_storage_up") == ["docker_storage_up"]
    assert _kept("name%5B%5D=docker_storage_up&name[]=docker_storage_scans_total") == [
        *("docker_storage_up", "docker_storage_scans_total"),
    ]
    assert _kept("collect[]=images") == ["docker_storage_image_layers"]
    assert _kept("collect[]=images&name[]=docker_storage_up") == ["docker_storage_up", "docker_storage_image_layers"]
    assert _kept("collect[]=build-cache") == []
    assert _kept("name[]=nothing") == []


def test_the_names_are_those_that_samples_have_in_openmetrics_too() -> None:
    text = b"# TYPE docker_storage_scans counter\n# HELP docker_storage_scans h\ndocker_storage_scans_total 3\n# EOF\n"
    assert b"".join(Selection("name[]=docker_storage_scans_total").of([text])) == text
    assert b"".join(Selection("name[]=docker_storage_up").of([text])) == b"# EOF\n"


def test_a_collector_that_there_is_not_is_an_error() -> None:
    with pytest.raises(SelectionError, match="known are: build_cache, containers"):
        Selection("collect[]=cpu")
    with pytest.raises(SelectionError, match="more than"):
        Selection("&".join(["name[]=a"] * 1001))


def test_each_collector_has_families_and_each_family_one_at_most() -> None:
    names = [one.name for one in vars(catalogue).values() if isinstance(one, catalogue.Metric)]
    of = {name: [one for one in COLLECTORS if Selection(f"collect[]={one}").has(name)] for name in names}
    assert {one for several in of.values() for one in several} == {*COLLECTORS}
    assert not [name for name, several in of.items() if len(several) > 1]
    assert of["docker_storage_layers_size_bytes"] == ["images"]
    assert not of["docker_storage_scan_success"]
    assert not of["process_open_fds"]


@given(st.text(), st.binary(), st.integers(1, 20))
@example("name[]=a", b"# HELP ", 3)
def test_no_query_and_no_cut_of_a_text_is_an_error(query: str, raw: bytes, step: int) -> None:
    try:
        selection = Selection(query)
    except SelectionError:
        return
    parts = [raw[at : at + step] for at in range(0, len(raw), step)]
    assert [*selection.of(parts)] == [*selection.of([raw])]


@pytest.mark.parametrize("kind", HOSTS)
def test_what_a_collector_that_is_off_leaves_out_is_what_a_query_for_it_gets(kind: type[Host], tmp_path: Path) -> None:
    figures = Figures(scan(kind(tmp_path / "root", 1).path))
    everything = {one.name for one in families(figures)}
    for collector in COLLECTORS:
        left = {one.name for one in families(figures, Shown(off=(collector,)))}
        asked = {one for one in everything if Selection(f"collect[]={collector}").has(one)}
        sums = {one for one in asked if one.startswith(tuple(f"docker_storage_{name}" for name in SUMS))}
        assert everything - left == asked - sums
        assert bool(sums) is (collector == "directories")


def test_others_are_served_while_a_large_answer_is_made() -> None:
    text = b"# HELP docker_storage_up h\n" + b"docker_storage_up 1\n" * 100_000

    async def turns() -> int:
        making = asyncio.create_task(Selection("name[]=docker_storage_up").body([text]))
        count = 0
        while not making.done():
            count += 1
            await asyncio.sleep(0)
        assert making.result().finish() == text
        return count

    assert asyncio.run(turns()) > 10
    assert asyncio.run(Selection("name[]=docker_storage_up").body([])).finish() == b""
