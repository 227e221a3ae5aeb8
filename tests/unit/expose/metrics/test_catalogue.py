import re
from pathlib import Path

from msgspec.structs import replace

from exporter.config.limits import Shown
from exporter.core.measured import Usage
from exporter.core.model import Counters, Snapshot, Watching
from exporter.expose.metrics.catalogue import CATALOGUE
from exporter.expose.metrics.families import families
from exporter.expose.metrics.live import (
    Processes,
    WebStatus,
    clock_families,
    filesystem_families,
    sandbox_families,
    web_families,
)
from exporter.expose.metrics.status import status_families
from exporter.figures.figures import Figures
from exporter.measure.pool.pool import Pool
from exporter.scan.scanner import Scanner
from tests.support.paths import TOP
from tests.support.product import figures_of
from tests.support.roots.layerdb import DbRoot, digest
from tests.support.stores import Store

_DOCS = TOP / "docs" / "metrics.md"
_ROW = re.compile(r"^\| `([a-z_]+)` \| (gauge|counter|info) \| ([^|]*) \| (.+) \|$", re.MULTILINE)


def test_the_documentation_and_the_catalogue_are_the_same() -> None:
    documented = [
        (name, kind, labels.replace("`", ""), text) for name, kind, labels, text in _ROW.findall(_DOCS.read_text())
    ]
    assert documented == [(one.name, one.kind, ", ".join(one.labels), one.help) for one in CATALOGUE]


def test_every_metric_of_the_catalogue_is_served_and_no_other(tmp_path: Path, pool: Pool) -> None:
    built = DbRoot(tmp_path).layer("base", 3).image("base", "base", ["base:1"]).volume("v", 3)
    host = {"LogConfig": {"Type": "json-file", "Config": {"max-size": "10m"}}, "Tmpfs": {"/t": ""}}
    host["StorageOpt"] = {"size": "10G"}
    built.container("c", "base", "base", host=host).build("a" * 25, size=3)
    checkpoint = built.path / "containers" / digest("containerc") / "checkpoints/one"
    checkpoint.mkdir(parents=True)
    (checkpoint / "pages").write_bytes(b"1")
    scanner = Scanner(str(built.path), 600, pool)
    scanner.counters.last_event = 1.0
    scanner.counters.overflows = 1
    audited = {"containers": 1.0, "volumes": 1.0}
    watching = Watching(polling=False, watches=1, limit=2)
    snapshot = replace(scanner.scan(), watching=watching, audited=audited, binds={"/srv": Usage(1, 512, 1)})
    made = [
        *families(Figures(snapshot), Shown(each_layer=True)),
        *status_families(snapshot, scanner.counters),
        *filesystem_families([]),
        *clock_families(),
        *web_families(WebStatus(0, 0, False, 1, {"full": 0}, 0)),
        *Processes().families(None, []),
        *sandbox_families(7, None, 0),
    ]
    suffix = {"info": "_info", "counter": "_total"}
    served = {family.name + suffix.get(family.metric.kind, "") for family in made}
    assert served == {metric.name for metric in CATALOGUE}
    store = Store()
    store.image(store.blob("sha256:a", 1), "docker.io/library/a:1", content_size=1, unpacked_size=1)
    with_series = {family.name for family in (*made, *families(Figures(store.told()))) if family.samples}
    assert {name for name in served if "filesystem" not in name} == {
        family.name + suffix.get(family.metric.kind, "")
        for family in made
        if family.name in with_series and "filesystem" not in family.name
    }


def test_before_the_first_scan_the_exporter_tells_of_itself() -> None:
    names = {family.name for family in status_families(Snapshot("/root", 0, error="is gone"), Counters())}
    assert {"docker_storage_up", "docker_storage_build", "docker_storage_scan_errors"} <= names


def test_a_first_scan_succeeds_also_where_there_was_nothing_to_look_at(tmp_path: Path) -> None:
    figures = figures_of(DbRoot(tmp_path).path)
    when = {has["collector"] for has, _ in figures.all("scan_last_success_timestamp_seconds")}
    assert when == {"images", "containers", "volumes", "directories", "build_cache"}
