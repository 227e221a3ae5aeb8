"""Permissions that are lost and regained."""

from contextlib import ExitStack

from exporter.demo.writer import State
from tests.support.exporter import exporter
from tests.support.fresh import becomes_as_fresh, objects
from tests.support.product import needs, process_of
from tests.support.rights import without_rights
from tests.support.roots import GraphRoot, change, hex_id


@needs("setpriv")
def test_permission_that_is_lost_and_regained(built: GraphRoot) -> None:
    denied = without_rights()
    with process_of(hex_id("run")) as pid, ExitStack() as stack:
        built.container("run", image="base", state=State(running=True, pid=pid), writable={"w": 4})
        running = stack.enter_context(exporter(built.path, under=denied))
        before = objects(becomes_as_fresh(running, built.path).text)
        for place, at in ((".", "up"), ("containers", "scan_success"), ("aufs/diff/" + hex_id("run"), "scan_success")):
            directory = built.path / place
            mode = directory.stat().st_mode & 0o7777
            directory.chmod(0)
            try:
                if at == "up":
                    running.wait_for("up", 0)
                else:
                    running.becomes("scan_errors_total", 1, collector="containers", reason="permission")
                    running.wait_for("scan_success", 0, collector="containers")
            finally:
                directory.chmod(mode)
            assert objects(becomes_as_fresh(running, built.path).text) == before
            running.becomes("scan_success", 1, collector="containers")
        change(built, "again")
        becomes_as_fresh(running, built.path)
