"""What goes wrong on a host, done to a real exporter: afterwards it says what a fresh one says."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from exporter.demo.writer import State
from tests.support.exporter import Exporter, exporter
from tests.support.fresh import becomes_as_fresh, objects
from tests.support.hanging import hanging as _hanging
from tests.support.mounts import mounted
from tests.support.product import Samples, descendants, needs, process_of
from tests.support.roots import GraphRoot, graph_root, hex_id
from tests.support.usage import allocated

_DEADLINE_SECONDS = 30
_AUFS = ("aufs/diff", "aufs/layers", "aufs/mnt")
_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def _becomes(running: Exporter, name: str, least: float, **labels: str) -> Samples:
    until = time.monotonic() + _DEADLINE_SECONDS
    while time.monotonic() < until:
        figures = running.figures()
        if figures.sum(name, **labels) >= least:
            return figures
        time.sleep(0.05)
    raise AssertionError(f"{name} {labels} never came to {least}: {figures.all(name)}")


@pytest.fixture
def built(tmp_path: Path) -> GraphRoot:
    made = graph_root(tmp_path).image("base", size=3, files={"a": 3}, tag="base:1")
    return made.container("web", image="base", writable={"w": 4})


def _change(built: GraphRoot, name: str = "more") -> None:
    built.image(name, parent="base", size=9, files={"b": 5000}, tag=f"{name}:1")
    built.container(f"{name}-c", image=name, writable={"c": 70_000})


def test_a_root_that_appears_later(built: GraphRoot, tmp_path: Path) -> None:
    away = tmp_path / "away"
    built.path.rename(away)
    with exporter(built.path) as running:
        assert running.figures()("up") == 0
        away.rename(built.path)
        assert becomes_as_fresh(running, built.path)("up") == 1


def test_a_root_that_is_deleted_and_made_again(built: GraphRoot, tmp_path: Path) -> None:
    shutil.copytree(built.path, tmp_path / "copy", symlinks=True)
    with exporter(built.path) as running:
        becomes_as_fresh(running, built.path)
        shutil.rmtree(built.path)
        running.wait_for("up", 0)
        (tmp_path / "copy").rename(built.path)
        figures = becomes_as_fresh(running, built.path)
        assert figures("watch_restarts_total", reason="root") >= 1
        _change(built)
        becomes_as_fresh(running, built.path)
        assert _becomes(running, "watch_events_total", 1)("up") == 1


def test_a_root_that_is_replaced_by_another(built: GraphRoot, tmp_path: Path) -> None:
    other = graph_root(tmp_path / "other").image("other", size=77, files={"x": 8}, tag="other:1")
    with exporter(built.path) as running:
        becomes_as_fresh(running, built.path)
        built.path.rename(tmp_path / "away")
        other.path.rename(built.path)
        figures = becomes_as_fresh(running, built.path)
    assert figures("image_virtual_size_bytes") == 77
    assert figures("watch_restarts_total", reason="root") >= 1


def test_a_store_that_is_replaced(built: GraphRoot, tmp_path: Path) -> None:
    with exporter(built.path) as running:
        becomes_as_fresh(running, built.path)
        shutil.copytree(built.path / "containers", tmp_path / "copy", symlinks=True)
        shutil.rmtree(built.path / "containers")
        (tmp_path / "copy").rename(built.path / "containers")
        _becomes(running, "watch_restarts_total", 1, reason="directory")
        _change(built)
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


@_root
def test_a_root_that_is_unmounted_and_mounted_again(built: GraphRoot, tmp_path: Path) -> None:
    mountpoint = tmp_path / "mnt"
    mountpoint.mkdir()
    with exporter(mountpoint) as running:
        for _ in range(2):
            with mounted(mountpoint, "--bind", str(built.path)):
                becomes_as_fresh(running, mountpoint)
                subprocess.run(["umount", str(mountpoint)], check=True)  # nothing may keep it busy
                running.wait_for("up", 0)
                subprocess.run(["mount", "--bind", str(built.path), str(mountpoint)], check=True)


@_root
@needs("mkfs.ext4")
def test_a_disk_that_is_unmounted_and_mounted_again_at_once(tmp_path: Path) -> None:
    """It is the same root, but the kernel has taken the watches away and brings none back."""
    mountpoint, disk = tmp_path / "mnt", tmp_path / "disk"
    mountpoint.mkdir()
    with disk.open("wb") as file:
        file.truncate(64 << 20)
    subprocess.run(["mkfs.ext4", "-q", str(disk)], check=True)
    with mounted(mountpoint, "-o", "loop", str(disk)):
        built = graph_root(mountpoint).image("base", size=3, files={"a": 3}, tag="base:1")
        identity = built.path.stat().st_dev, built.path.stat().st_ino
        with exporter(built.path) as running:
            becomes_as_fresh(running, built.path)
            subprocess.run(["umount", str(mountpoint)], check=True)
            subprocess.run(["mount", "-o", "loop", str(disk), str(mountpoint)], check=True)
            if identity != (built.path.stat().st_dev, built.path.stat().st_ino):
                pytest.skip("it came back as another disk")
            _change(built)
            _becomes(running, "watch_restarts_total", 1)
            figures = _becomes(running, "watch_mode", 1, mode="inotify")
            before = figures.sum("watch_events_total", area="images")
            _change(built, "again")
            becomes_as_fresh(running, built.path)
            assert _becomes(running, "watch_events_total", before + 1, area="images")("up") == 1


def test_without_events_everything_is_found_as_well(built: GraphRoot) -> None:
    with exporter(built.path, "--no-watch") as running:
        becomes_as_fresh(running, built.path)
        _change(built)
        figures = becomes_as_fresh(running, built.path)
        assert figures("watch_mode", mode="polling") == 1
        assert figures("watch_missed_changes_total") >= 1
        assert figures("watch_events_total", area="images") == 0
        shutil.rmtree(built.path / "containers" / hex_id("web"))
        becomes_as_fresh(running, built.path)


@contextlib.contextmanager
def _sysctl(name: str, value: int) -> Iterator[None]:
    """Change a limit of the whole machine. It is a child that sets it back, also when this process is killed."""
    file = Path("/proc/sys/fs/inotify") / name
    restore = ["sh", "-c", 'cat > /dev/null; echo "$1" > "$2"', "sh", file.read_text().strip(), str(file)]
    guard = subprocess.Popen(restore, stdin=subprocess.PIPE, start_new_session=True)
    try:
        with contextlib.suppress(OSError):
            file.write_text(str(value))
        if file.read_text().strip() != str(value):
            pytest.skip("the kernel's limits may not be changed here")
        yield
    finally:
        guard.communicate()


@_root
def test_too_few_watches(built: GraphRoot) -> None:
    for number in range(12):
        built.container(f"c{number}", image="base", writable={"w": 4})
    with exporter(built.path) as running, _sysctl("max_user_watches", 8):
        figures = _becomes(running, "watch_mode", 0, mode="polling")
    with _sysctl("max_user_watches", 8), exporter(built.path) as running:
        figures = _becomes(running, "watch_mode", 1, mode="polling")
        assert figures("watches_limit") == 8
        _change(built)
        becomes_as_fresh(running, built.path)


@_root
def test_no_watch_instance_is_left(built: GraphRoot) -> None:
    with _sysctl("max_user_instances", 0), exporter(built.path) as running:
        if not any("watch.impossible" in line for line in running.lines):
            running.log_line("watch.impossible")
        _becomes(running, "watch_mode", 1, mode="polling")
        _change(built)
        assert becomes_as_fresh(running, built.path)("watches") == 0


@_root
def test_a_queue_that_overflows(built: GraphRoot) -> None:
    with _sysctl("max_queued_events", 16), exporter(built.path) as running:
        becomes_as_fresh(running, built.path)
        until = time.monotonic() + _DEADLINE_SECONDS
        while not running.figures()("watch_overflows_total"):
            assert time.monotonic() < until
            for number in range(500):
                (built.path / "graph" / f"_{number}").mkdir()
            for number in range(500):
                (built.path / "graph" / f"_{number}").rmdir()
        _change(built)
        figures = becomes_as_fresh(running, built.path)
        assert figures.sum("scans_total", trigger="overflow") >= 1


def test_json_that_is_torn_for_a_while(built: GraphRoot) -> None:
    file = built.path / "containers" / hex_id("web") / "config.json"
    whole = file.read_text()
    with exporter(built.path) as running:
        before = objects(becomes_as_fresh(running, built.path).text)
        file.write_text(whole[: len(whole) // 2])
        figures = _becomes(running, "scan_errors_total", 1, collector="containers", reason="decode")
        assert objects(figures.text) >= {line for line in before if line.startswith("container_writable_size")}
        file.write_text(whole)
        figures = becomes_as_fresh(running, built.path)
        assert figures("scan_success", collector="containers") == 1


def test_a_worker_that_is_killed(built: GraphRoot) -> None:
    with exporter(built.path) as running:
        becomes_as_fresh(running, built.path)
        for number in range(3):
            for child in descendants(running.process.pid)[1:]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
            _change(built, f"more{number}")
            becomes_as_fresh(running, built.path)


def test_containers_that_come_and_go_while_it_is_scraped(built: GraphRoot) -> None:
    with exporter(built.path) as running:
        becomes_as_fresh(running, built.path)
        for number in range(60):
            built.container(f"c{number}", image="base", writable={"w": number})
            figures = running.figures()
            assert figures("up") == 1
            assert all(value >= 0 for _, _, value in figures.samples)
            if number % 3:
                for store in ("containers", "aufs/diff", "aufs/layers", "aufs/mnt"):
                    for name in (built.path / store).glob(hex_id(f"c{number}") + "*"):
                        shutil.rmtree(name) if name.is_dir() else name.unlink()
        becomes_as_fresh(running, built.path)


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


@_root
def test_a_volume_that_hangs(built: GraphRoot) -> None:
    """A FUSE filesystem whose server never answers, mounted on a volume, and one below the data of another."""
    for name in ("dead", "deep"):
        (built.path / "volumes" / name / "_data" / "inside").mkdir(parents=True)
    with contextlib.ExitStack() as stack:
        stack.enter_context(_hanging(built.path / "volumes/dead/_data"))
        stack.enter_context(_hanging(built.path / "volumes/deep/_data/inside"))
        running = stack.enter_context(exporter(built.path))
        running.wait_for("up", 1)
        figures = _becomes(running, "skipped_mounts", 2)
        assert figures.sum("volumes") == 2
        assert [labels["volume"] for labels, _ in figures.all("volume_size_bytes")] == ["deep"]
        _change(built)
        _becomes(running, "layers", 4)


@needs("strace")
def test_a_rescan_opens_nothing_but_what_it_names(built: GraphRoot, tmp_path: Path) -> None:
    for number in range(20):
        built.image(f"i{number}", parent="base", size=1, files={"x": 1})
    with exporter(built.path, "--watch.look-interval", "600", "--scan.interval", "600") as running:
        becomes_as_fresh(running, built.path)
        trace = tmp_path / "trace"
        (scanner, *workers) = descendants(running.process.pid)
        attached = [f"--attach={process}" for process in (scanner, *workers)]
        tracing = subprocess.Popen(
            ["strace", "-ff", "-y", "-e", "trace=%file,getdents64", "-o", str(trace), *attached],
            stderr=subprocess.PIPE,
            text=True,
        )
        assert tracing.stderr is not None
        assert "attached" in tracing.stderr.readline()
        _change(built)
        figures = _becomes(running, "layers", 25)
        tracing.send_signal(signal.SIGINT)
        tracing.wait(10)
        tracing.stderr.close()
    lines = [line for one in tmp_path.glob("trace.*") for line in one.read_text(errors="replace").splitlines()]
    listed = {found[1] for line in lines if (found := re.search(rf"getdents64\(\d+<({built.path}[^>]*)>", line))}
    named = {hex_id("more"), hex_id("more-c"), hex_id("more-c") + "-init"}
    stores = {str(built.path / store) for store in ("", "aufs", "containers", "graph", "volumes", *_AUFS)} | {
        str(built.path)
    }
    strangers = {one for one in listed - stores if not named & set(Path(one).parts)}
    assert str(built.path / "graph") in listed
    assert not strangers
    assert not any(re.search(r"O_(WRONLY|RDWR|CREAT|TRUNC)", line) for line in lines if str(built.path) in line)
    assert figures.sum("scan_entries") < 100


@_root
def test_a_store_that_hangs(built: GraphRoot) -> None:
    """A filesystem mounted on `volumes` itself stops answering, and does so again later."""
    (built.path / "volumes/data/_data").mkdir(parents=True)
    with exporter(built.path) as running:
        becomes_as_fresh(running, built.path)
        with _hanging(built.path / "volumes"):
            figures = _becomes(running, "scan_errors_total", 1, collector="volumes", reason="timeout")
            assert figures("up") == 1
            _change(built)
            figures = _becomes(running, "layers", 4)
            assert figures("scan_success", collector="volumes") == 0
            assert figures("scan_success", collector="containers") == 1
            assert not figures.all("volume_size_bytes")
            with exporter(built.path) as another:  # one that has never seen it answer
                figures = _becomes(another, "scan_errors_total", 1, collector="volumes", reason="timeout")
                assert figures.sum("containers") == 2
        figures = becomes_as_fresh(running, built.path)
        assert figures("scan_success", collector="volumes") == 1


@_root
def test_a_root_that_hangs(built: GraphRoot) -> None:
    """What looks at it may be stuck in the kernel: then it is ended, and the next one goes round what hangs."""
    with exporter(built.path, "--scan.tree-timeout", "2") as running:
        becomes_as_fresh(running, built.path)
        with _hanging(built.path):
            assert not running.wait_for("up", 0).all("layers")
        becomes_as_fresh(running, built.path)


@_root
def test_a_root_that_hangs_from_the_start(built: GraphRoot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The port is open and says so, also where the default place of the cache has to be found first."""
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    with _hanging(built.path), exporter(built.path, "--cache.file", "") as running:
        assert running.figures()("up") == 0
    with exporter(built.path, "--cache.file", "") as running:
        becomes_as_fresh(running, built.path)


@_root
def test_a_single_scan_of_what_hangs_ends(built: GraphRoot) -> None:
    """The filesystem stops answering after it was asked whether it does."""
    unasked = "from exporter import cli, scanner; scanner.read_mounts = lambda: (); cli.main()"
    command = [sys.executable, "-c", unasked, "once", "--root", str(built.path), "--scan.tree-timeout", "1"]
    with _hanging(built.path / "containers"):
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_DEADLINE_SECONDS)
    assert done.returncode == 1
    assert "does not answer" in done.stderr
    assert "docker_storage_up 0" in done.stdout


def test_a_scanner_that_does_not_move(built: GraphRoot) -> None:
    with exporter(built.path, "--scan.tree-timeout", "2") as running:
        becomes_as_fresh(running, built.path)
        before = running.figures().sum("scans_total")
        os.kill(descendants(running.process.pid)[0], signal.SIGSTOP)
        running.log_line("scanner.stuck")
        _change(built)
        assert becomes_as_fresh(running, built.path).sum("scans_total") > before


def _denied() -> tuple[str, ...]:
    """What to start a command with so that permissions hold for it, too."""
    if os.geteuid() != 0:
        return ()
    command = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search")
    if subprocess.run([*command, "true"], capture_output=True, check=False).returncode:
        pytest.skip("capabilities cannot be dropped here")
    return command


@needs("setpriv")
def test_permission_that_is_lost_and_regained(built: GraphRoot) -> None:
    denied = _denied()
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
                    _becomes(running, "scan_errors_total", 1, collector="containers", reason="permission")
                    until = time.monotonic() + _DEADLINE_SECONDS
                    while running.figures()("scan_success", collector="containers") and time.monotonic() < until:
                        time.sleep(0.05)
                    assert running.figures()("scan_success", collector="containers") == 0
            finally:
                directory.chmod(mode)
            assert objects(becomes_as_fresh(running, built.path).text) == before
            _becomes(running, "scan_success", 1, collector="containers")
        _change(built, "again")
        becomes_as_fresh(running, built.path)


_CLOCK = """
import os, time
def _shifted(clock, unit):
    def now():
        with open(os.environ["CLOCK"]) as file:
            return clock() + unit(float(file.read()))
    return now
time.time = _shifted(time.time, float)
time.time_ns = _shifted(time.time_ns, lambda seconds: int(seconds * 1e9))
"""


def test_a_clock_that_is_set(built: GraphRoot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An hour back, an hour ahead: what all processes are told of the date, by a file."""
    clock = tmp_path / "clock"
    clock.write_text("0")
    (tmp_path / "shifted").mkdir()
    (tmp_path / "shifted/sitecustomize.py").write_text(_CLOCK)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "shifted"))
    monkeypatch.setenv("CLOCK", str(clock))
    written = built.path / "aufs/diff" / hex_id("run") / "w"
    with process_of(hex_id("run")) as pid, ExitStack() as stack:
        built.container("run", image="base", state=State(running=True, pid=pid), writable={"w": 4})
        running = stack.enter_context(exporter(built.path))
        taken = becomes_as_fresh(running, built.path)("snapshot_timestamp_seconds")
        for number, shift in enumerate((-3600, 3600, 0)):
            (tmp_path / "new").write_text(str(shift))
            (tmp_path / "new").rename(clock)
            _change(built, f"more{number}")
            figures = becomes_as_fresh(running, built.path)
            assert abs(figures("snapshot_timestamp_seconds") - taken - shift) < 600
            written.write_bytes(b"x" * (1000 + number))  # no event tells of this
            becomes_as_fresh(running, built.path)
        figures = becomes_as_fresh(running, built.path)
        assert figures("watch_mode", mode="polling") == 0
        assert figures.sum("scans_total", trigger="event") >= 3


_MANY = """
import pathlib, shutil, sys
root, names = pathlib.Path(sys.argv[1]), sys.stdin.readline().split()
config = '{"ID": "%s", "Driver": "aufs", "State": {"Running": true, "StartedAt": "2015-01-01T00:00:00Z"}}'
for name in names:
    (root / "aufs/layers" / name).touch()
    (root / "aufs/diff" / name).mkdir()
    (root / "aufs/diff" / name / "w").write_text("x")
    (root / "containers" / name).mkdir()
    (root / "containers" / name / "config.json").write_text(config % name)
sys.stdin.readline()
for number, name in enumerate(names):
    if number % 1000:
        shutil.rmtree(root / "containers" / name)
        shutil.rmtree(root / "aufs/diff" / name)
        (root / "aufs/layers" / name).unlink()
"""


def test_ten_thousand_containers_that_come_and_go_while_it_is_scraped(built: GraphRoot) -> None:
    names = [hex_id(f"many{number}") for number in range(10_000)]
    found, until = 0.0, time.monotonic() + 4 * _DEADLINE_SECONDS
    with (
        exporter(built.path, "--scan.duty-cycle", "1") as running,
        subprocess.Popen([sys.executable, "-c", _MANY, str(built.path)], stdin=subprocess.PIPE, text=True) as busy,
    ):
        assert busy.stdin is not None
        busy.stdin.write(" ".join(names) + "\n")
        busy.stdin.flush()
        while busy.poll() is None:
            text = running.get()[2].decode()
            assert "\ndocker_storage_up 1" in text
            assert not re.search(r" -[0-9.e+]+$", text, re.MULTILINE)
            lines = re.findall(r"^docker_storage_containers\{.*\} (\S+)$", text, re.MULTILINE)
            found = max(found, sum(map(float, lines)))
            assert time.monotonic() < until, found
            if found == len(names) + 1 and not busy.stdin.closed:
                busy.stdin.close()
        figures = becomes_as_fresh(running, built.path)
        assert found == len(names) + 1
        assert figures.sum("containers") == 11
        assert figures.sum("watch_events_total") + figures("watch_overflows_total") > 1000
