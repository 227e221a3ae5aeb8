"""Stores that are replaced, files that are torn, and what no event tells of."""

import os
import shutil
from pathlib import Path

from tests.support.exporter import exporter
from tests.support.fresh import becomes_as_fresh, objects
from tests.support.roots import GraphRoot, change, hex_id
from tests.support.usage import allocated


def test_a_store_that_is_replaced(built: GraphRoot, tmp_path: Path) -> None:
    with exporter(built.path) as running:
        becomes_as_fresh(running, built.path)
        shutil.copytree(built.path / "containers", tmp_path / "copy", symlinks=True)
        shutil.rmtree(built.path / "containers")
        (tmp_path / "copy").rename(built.path / "containers")
        running.becomes("watch_restarts_total", 1, reason="directory")
        change(built)
        becomes_as_fresh(running, built.path)


def test_a_store_that_is_replaced_by_one_with_the_same_names(built: GraphRoot, tmp_path: Path) -> None:
    """As when `containers` is restored from a backup: at once, and not only at a later look."""
    with exporter(built.path, "--watch.look-interval", "600") as running:
        becomes_as_fresh(running, built.path)
        shutil.copytree(built.path / "containers", tmp_path / "copy", symlinks=True)
        file = tmp_path / "copy" / hex_id("web") / "config.json"
        file.write_text(file.read_text().replace('"/web"', '"/restored"'))
        (built.path / "containers").rename(tmp_path / "away")
        (tmp_path / "copy").rename(built.path / "containers")
        assert becomes_as_fresh(running, built.path).all("container_info", name="restored")


def test_what_no_event_and_no_object_tells_of_is_measured_again(built: GraphRoot) -> None:
    """Downloads, the build cache's content, and what stands in a store and is no object."""
    places = ("graph/_tmp", "buildkit/content/ingest", "volumes/stray", "containers/stray", "tmp/deep/er")
    homes = [built.path / place for place in places]
    for home in homes:
        home.mkdir(parents=True, exist_ok=True)
    with exporter(built.path, "--scan.interval", "2", "--scan.duty-cycle", "1") as running:
        becomes_as_fresh(running, built.path)
        for number, home in enumerate(homes):
            (home / "more").mkdir()
            (home / "more/file").write_bytes(b"x" * 10_000 * (number + 1))
        figures = becomes_as_fresh(running, built.path)
        assert figures.sum("directory_allocated_bytes") == allocated(built.path)


def test_a_volume_that_is_linked_to_another(built: GraphRoot) -> None:
    """Neither is audited soon, for nobody uses them: but the first was measured before its file was linked."""
    first, second = (built.path / "volumes" / name / "_data" for name in ("first", "second"))
    first.mkdir(parents=True)
    (first / "file").write_bytes(b"x" * 100_000)
    with exporter(built.path) as running:
        becomes_as_fresh(running, built.path)
        shutil.copytree(first, second, copy_function=os.link)
        figures = becomes_as_fresh(running, built.path)
        assert figures.sum("directory_allocated_bytes") == allocated(built.path)


def test_json_that_is_torn_for_a_while(built: GraphRoot) -> None:
    file = built.path / "containers" / hex_id("web") / "config.json"
    whole = file.read_text()
    with exporter(built.path) as running:
        before = objects(becomes_as_fresh(running, built.path).text)
        file.write_text(whole[: len(whole) // 2])
        figures = running.becomes("scan_errors_total", 1, collector="containers", reason="decode")
        assert objects(figures.text) >= {line for line in before if line.startswith("container_writable_size")}
        file.write_text(whole)
        figures = becomes_as_fresh(running, built.path)
        assert figures("scan_success", collector="containers") == 1
