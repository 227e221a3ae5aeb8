"""The Debian package and its unit on a machine that is started for it: systemd is process 1 of a namespace."""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.core.landlock import version
from exporter.core.version import VERSION
from exporter.demo import build_demo
from tests.support.booted import Machine, machine
from tests.support.product import Samples, needs, scanning, workers
from tests.support.runbooks.elsewhere import NOT_RUN, Elsewhere
from tests.support.waiting import eventually

_NAME = "docker-storage-exporter"
_SERVICE, _SOCKET = f"{_NAME}.service", f"{_NAME}.socket"
pytestmark = [
    pytest.mark.xdist_group("packages"),
    needs("dpkg-deb"),
    needs("curl"),
    needs("nsenter"),
    pytest.mark.skipif(os.geteuid() != 0, reason="a machine of its own needs root"),
    pytest.mark.skipif(not Path("/etc/debian_version").exists(), reason="this is not Debian"),
]


@pytest.fixture(scope="module")
def host(packages: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine with a data root that only root may enter, and the package installed while it runs."""
    with machine(tmp_path_factory.mktemp("machine")) as one:
        data = one.root / "var/lib/docker"
        shutil.rmtree(data, ignore_errors=True)
        build_demo(data)
        for entry in (data, *data.iterdir()):
            entry.chmod(0o700)
        for package in packages:
            shutil.copy(package, one.root / "root")
        done = one.run("dpkg", "-i", f"/root/{packages[0].name}")
        assert done.returncode == 0, done.stdout + done.stderr
        yield one


@pytest.fixture
def service(host: Machine) -> Iterator[Machine]:
    """The service, newly started."""
    start = host.run("systemctl", "restart", _SERVICE)
    assert start.returncode == 0, start.stderr
    yield host
    assert not complaints(host)


def complaints(host: Machine) -> list[str]:
    """What systemd found wrong with the units: directives that it does not know, or could not follow."""
    lines = host.run("journalctl", "--no-pager", "--output=cat", "--priority=warning", "_PID=1").stdout.splitlines()
    said = ("watchdog", "signal", "Failed with result", "Main process exited")  # what the tests do
    return [line for line in lines if _NAME in line and not any(one.lower() in line.lower() for one in said)]


def figures(host: Machine) -> Samples:
    """The metrics, once everything is measured."""
    text = ""

    def measured() -> bool:
        nonlocal text
        ready = host.run("curl", "-sSf", "--max-time", "20", "http://127.0.0.1:9588/-/ready").returncode == 0
        text = host.get("/metrics")
        return ready and "image_virtual_size_bytes" in text and "filesystem_size_bytes" in text

    eventually(measured, otherwise=lambda: text)
    return Samples(text)


def process(host: Machine) -> int:
    return int(host.show(_SERVICE, "MainPID"))


def wait_for_another(host: Machine, before: int) -> int:
    def another() -> int:
        number = process(host)
        return number if number != before and host.show(_SERVICE, "ActiveState") == "active" else 0

    return eventually(another, otherwise=lambda: host.run("systemctl", "status", _SERVICE).stdout)


def test_installed_it_serves_what_only_root_may_read(service: Machine) -> None:
    assert service.show(_SERVICE, "ActiveState") == "active", "ready was told"
    assert service.show(_SERVICE, "UnitFileState") == "enabled"
    found = figures(service)
    assert found("up") == 1
    assert len(found.all("image_virtual_size_bytes")) == 2
    assert found.sum("scan_errors_total") == 0
    number = process(service)
    status = service.run("cat", f"/proc/{number}/status").stdout
    assert re.search(r"Uid:\t(\d+)", status)[1] != "0"  # type: ignore[index]
    for what in ("Prm", "Eff", "Inh", "Amb"):
        assert re.search(rf"Cap{what}:\t0*\n", status), "it has given up all"
    assert re.search(r"CapBnd:\t0*4\n", status), "CAP_DAC_READ_SEARCH is bit 2, and there is no other"
    kept = {one["process"]: one for one, _ in found.all("sandbox_info")}
    assert {name: one["capabilities"] for name, one in kept.items()} == {
        "serving": "none",
        "scanning": "dac_read_search",
    }
    assert {one["landlock"] for one in kept.values()} == {str(version() or "none")}
    assert found("filesystem_size_bytes") > 0
    assert "NoNewPrivs:\t1" in status
    mounts = [line.split() for line in service.run("cat", f"/proc/{number}/mountinfo").stdout.splitlines()]
    assert next(one for one in mounts if one[4] == "/")[6].startswith("master:"), "unmounts of the host come through"
    assert service.run("cat", f"/proc/{number}/oom_score_adj").stdout == "200\n"
    assert service.run("ionice", "-p", str(number)).stdout.startswith("idle")
    assert service.show(_SERVICE, "MemoryMax") == str(512 * 1024**2)


def test_what_is_unmounted_on_the_host_is_not_kept_by_the_unit(host: Machine) -> None:
    """As an engine does with a container's root filesystem: mounted before the service starts, gone while it runs."""
    place = "/var/lib/docker/aufs/mnt/web"
    assert host.run("sh", "-c", f"mkdir -p {place} && mount -t tmpfs none {place}").returncode == 0
    assert host.run("systemctl", "restart", _SERVICE).returncode == 0
    figures(host)
    held = host.run("cat", f"/proc/{process(host)}/mountinfo").stdout
    assert f" {place} " in held, "its namespace has a copy"
    assert host.run("umount", place).returncode == 0, "nothing keeps it busy"
    assert f" {place} " not in host.run("cat", f"/proc/{process(host)}/mountinfo").stdout
    done = host.run("rmdir", place)
    assert done.returncode == 0, done.stderr


def test_the_commands_of_runbooks_ask_the_service(service: Machine) -> None:
    """What runbooks tell to ask systemd, with what it answers (`tests/support/runbooks/elsewhere.py`)."""
    asked = [command for command, why in NOT_RUN.items() if isinstance(why, Elsewhere) and __file__.endswith(why.file)]
    said = {command: service.run("sh", "-c", command) for command in asked}
    assert "Active: active (running)" in said.pop(f"systemctl status {_NAME}").stdout
    assert int(said.pop(f"ls /proc/$(systemctl show -P MainPID {_NAME})/fd | wc -l").stdout) > 5
    (limits,) = [one.stdout.split() for command, one in said.items() if "TasksCurrent" in command]
    assert all(number.isdigit() for number in limits)
    assert len(limits) == 2
    assert {command: one.stderr for command, one in said.items() if one.returncode} == {}


def test_a_reload_scans_again_and_ends_well(service: Machine) -> None:
    figures(service)
    number = process(service)
    done = service.run("systemctl", "reload", _SERVICE)
    assert done.returncode == 0, done.stderr
    assert service.show(_SERVICE, "ActiveState") == "active"
    assert process(service) == number
    eventually(lambda: figures(service).sum("scans_total", trigger="manual"))


def test_what_hangs_or_dies_is_started_again(host: Machine) -> None:
    settings = host.root / f"etc/systemd/system/{_SERVICE}.d/soon.conf"
    settings.parent.mkdir(parents=True)
    settings.write_text("[Service]\nWatchdogSec=2\nTimeoutStopSec=1\nRestartSec=100ms\n")
    host.run("systemctl", "daemon-reload")
    try:
        host.run("systemctl", "restart", _SERVICE)
        number = wait_for_another(host, 0)
        for signal in ("STOP", "KILL", "ABRT"):
            host.run("sh", "-c", f"kill -{signal} {number}")
            number = wait_for_another(host, number)
        assert figures(host)("up") == 1
        assert int(host.show(_SERVICE, "NRestarts")) >= 3, "once more where the machine stands still for two seconds"
        log = host.run("journalctl", "--no-pager", "--output=cat", "_PID=1").stdout
        assert "Watchdog timeout" in log
    finally:
        settings.unlink()
        host.run("systemctl", "daemon-reload")


def _memory_group(host: Machine) -> Path:
    """The control group of the service that limits its memory, as this machine sees it."""
    for line in Path(f"/proc/{_outer(host)}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        where = Path("/sys/fs/cgroup", *(["memory"] if controllers else []), path.lstrip("/"))
        if controllers in ("memory", "") and any((where / file).exists() for file in _LIMITS):
            return where
    pytest.skip("no control group limits memory here")


#: The files of a memory group in the two versions: of the limit, and of the processes that were killed.
_LIMITS = {"memory.limit_in_bytes": "memory.oom_control", "memory.max": "memory.events"}


#: Bytes for the scanning process and for about two workers.
_ROOM = 12 << 20


def _outer(host: Machine) -> int:
    """The number of the serving process outside of the machine."""
    inner = process(host)
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                status = (entry / "status").read_text()
            except OSError:
                continue
            numbers = re.search(r"NSpid:\t(.*)", status)
            if numbers and numbers[1].split()[-1] == str(inner) and scanning(int(entry.name)):
                return int(entry.name)
    raise LookupError(inner)


def _used(group: Path) -> int:
    """The bytes that processes of a group have for themselves."""
    found = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    return int(found.get("total_rss") or found["anon"])


@pytest.fixture
def crowded(host: Machine) -> Iterator[Machine]:
    """The service with so many workers that these take more memory than the other processes ask for anew."""
    settings = host.root / "etc" / _NAME / "config.yml"
    before = settings.read_text()
    settings.write_text("scan.workers: 8\n")
    host.run("systemctl", "restart", _SERVICE)
    yield host
    settings.write_text(before)
    host.run("systemctl", "restart", _SERVICE)


def test_a_worker_that_is_killed_for_memory_takes_nobody_with_it(crowded: Machine) -> None:
    """The limit is what is in use without workers, and room for some of them: the kernel has to kill one."""
    assert crowded.show(_SERVICE, "OOMPolicy") == "continue"
    figures(crowded)
    group, outer, number = _memory_group(crowded), _outer(crowded), process(crowded)
    limit, events = next((group / one, group / other) for one, other in _LIMITS.items() if (group / one).exists())
    before, scanner = limit.read_text(), scanning(outer)

    def kills() -> int:
        found = re.search(r"^oom_kill (\d+)$", events.read_text(), re.MULTILINE)
        return int(found[1]) if found else 0

    def killed() -> bool:
        """Whether one was killed in a scan of everything, which begins when there are no workers."""
        eventually(lambda: not workers(outer), otherwise=lambda: "the workers never ended")
        limit.write_text(str(_used(group) + _ROOM))
        try:
            crowded.run("systemctl", "reload", _SERVICE)
            eventually(lambda: kills() or workers(outer))
            eventually(lambda: kills() or not workers(outer))
            return kills() > 0
        finally:
            limit.write_text(before)

    eventually(killed, otherwise=lambda: f"{_used(group)} of {limit.read_text()}")
    assert process(crowded) == number
    assert scanning(outer) == scanner, "it was a worker"
    assert crowded.show(_SERVICE, "ActiveState") == "active"
    assert crowded.show(_SERVICE, "NRestarts") == "0"
    scans = figures(crowded).sum("scans_total", trigger="manual")
    assert crowded.run("systemctl", "reload", _SERVICE).returncode == 0
    eventually(lambda: figures(crowded).sum("scans_total", trigger="manual") > scans)
    found = figures(crowded)
    assert found("up") == 1
    assert len(found.all("image_virtual_size_bytes")) == 2


def test_it_stops_in_order_and_at_once(service: Machine) -> None:
    figures(service)
    assert service.run("systemctl", "stop", _SERVICE).returncode == 0
    assert service.show(_SERVICE, "Result") == "success"
    assert service.show(_SERVICE, "ExecMainStatus") == "0"
    assert service.get("/metrics") == ""
    assert "layers-" in service.run("ls", f"/var/lib/{_NAME}").stdout, "it may write to its state directory"


def test_the_socket_starts_it_and_refuses_nothing_across_a_restart(host: Machine) -> None:
    assert host.run("systemctl", "disable", "--now", _SERVICE).returncode == 0
    assert host.run("systemctl", "enable", "--now", _SOCKET).returncode == 0
    try:
        assert host.show(_SERVICE, "ActiveState") == "inactive"
        assert figures(host)("up") == 1, "the first scrape starts it"
        number = process(host)
        stopped = (
            "systemctl stop docker-storage-exporter.service; curl -sS --max-time 20 http://127.0.0.1:9588/-/healthy"
        )
        done = host.run("sh", "-c", stopped)
        assert done.returncode == 0, done.stderr
        assert process(host) not in (0, number)
        assert host.run("systemctl", "restart", _SERVICE).returncode == 0
        assert figures(host)("up") == 1
    finally:
        host.run("systemctl", "disable", "--now", _SOCKET)
        host.run("systemctl", "enable", "--now", _SERVICE)
    assert not complaints(host)


def test_what_containers_mount_is_measured_unless_the_unit_hides_it(host: Machine) -> None:
    settings = host.root / f"etc/systemd/system/{_SERVICE}.d/binds.conf"
    settings.parent.mkdir(parents=True, exist_ok=True)
    variable = "DOCKER_STORAGE_EXPORTER_"
    asked = f"[Service]\nEnvironment={variable}COLLECTOR_BINDS_INCLUDE=^/srv/\n"
    asked += f"Environment={variable}PATH_ROOTFS=/\n"  # this machine's / is an overlay, as that of a container

    def started(hidden: str = "") -> Samples:
        settings.write_text(asked + hidden)
        host.run("systemctl", "daemon-reload")
        host.run("systemctl", "restart", _SERVICE)
        eventually(lambda: bool(figures(host).all("bind_size_bytes") or figures(host).sum("scan_errors_total")))
        return figures(host)

    write = "mkdir -p /srv/mediawiki/images && head -c 5000 /dev/zero >/srv/mediawiki/images/logo.png"
    try:
        host.run("mount", "-t", "tmpfs", "none", "/srv")
        host.run("sh", "-c", write)
        assert started().all("bind_size_bytes") == [({"source": "/srv/mediawiki/images"}, 5000)]
        found = started("InaccessiblePaths=/srv\n")
        assert not found.all("bind_size_bytes")
        assert found("scan_errors_total", collector="volumes", reason="permission") == 1
        host.run("umount", "/srv")
        host.run("sh", "-c", write)
        found = started()  # an overlay of two filesystems: its files have another device than its directories
        sizes = found.all("bind_size_bytes")
        assert sizes in ([({"source": "/srv/mediawiki/images"}, 5000)], [])
        assert len(sizes) + found("scan_errors_total", collector="volumes", reason="io") == 1
    finally:
        settings.unlink()
        host.run("sh", "-c", "umount /srv; rm -r /srv/mediawiki")
        host.run("systemctl", "daemon-reload")


def test_the_timer_writes_for_node_exporter(host: Machine) -> None:
    unit = f"{_NAME}-textfile"
    place = host.root / "var/lib/prometheus/node-exporter"
    place.mkdir(parents=True)
    shutil.chown(place, "nobody")  # another one's directory: Debian's is that of the user prometheus
    before = len(complaints(host))
    done = host.run("systemctl", "start", f"{unit}.service", seconds=120)
    said = host.run("journalctl", "--no-pager", "--output=cat", f"--unit={unit}.service").stdout
    assert done.returncode == 0, said
    (made,) = place.iterdir()
    assert Samples(made.read_text()).all("image_virtual_size_bytes")
    assert made.stat().st_mode & 0o777 == 0o644, "node_exporter is another user"
    assert host.run("systemctl", "enable", "--now", f"{unit}.timer").returncode == 0
    assert host.show(f"{unit}.timer", "ActiveState") == "active"
    assert host.run("systemctl", "disable", "--now", f"{unit}.timer").returncode == 0
    assert len(complaints(host)) == before
    shutil.rmtree(place.parent)


def test_tls_and_passwords_work_under_the_unit(service: Machine) -> None:
    """What the unit forbids (memory that is written and run, files of others) must not be what TLS needs."""
    settings = service.root / "etc" / _NAME
    key = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    made = service.run(
        *key, "-days", "2", "-subj", "/CN=localhost", "-keyout", f"/etc/{_NAME}/k.pem", "-out", f"/etc/{_NAME}/c.pem"
    )
    assert made.returncode == 0, made.stderr
    (settings / "k.pem").chmod(0o600)
    web = "tls_server_config:\n  cert_file: c.pem\n  key_file: k.pem\n  curve_preferences: [CurveP256]\n"
    web += "  client_auth_type: VerifyClientCertIfGiven\n"
    (settings / "web.yml").write_text(web)
    before = (settings / "config.yml").read_text()
    try:
        (settings / "config.yml").write_text(f"web.config.file: /etc/{_NAME}/web.yml\n")
        done = service.run("systemctl", "restart", _SERVICE)
        assert done.returncode == 0, service.run("journalctl", "--no-pager", "-u", _SERVICE).stdout[-2000:]
        done = service.run("curl", "-sS", "--cacert", f"/etc/{_NAME}/c.pem", "https://localhost:9588/-/healthy")
        assert done.returncode == 0, done.stderr
    finally:
        (settings / "config.yml").write_text(before)
        for name in ("web.yml", "k.pem", "c.pem"):
            (settings / name).unlink(missing_ok=True)
        service.run("systemctl", "restart", _SERVICE)


def test_an_upgrade_restarts_what_runs_and_purging_leaves_nothing(packages: list[Path], service: Machine) -> None:
    number = process(service)
    done = service.run("dpkg", "-i", f"/root/{packages[1].name}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert process(service) not in (0, number)
    assert service.run("dpkg-query", "-W", "-f", "${Version}", _NAME).stdout == VERSION + "+1"
    assert figures(service)("up") == 1
    service.run("systemctl", "enable", _SOCKET)
    assert service.run("dpkg", "-r", _NAME).returncode == 0
    assert service.show(_SERVICE, "ActiveState") == "inactive"
    assert service.get("/-/healthy") == ""
    assert service.run("dpkg", "-P", _NAME).returncode == 0
    left = [str(one) for top in ("etc/systemd", "var/lib") for one in (service.root / top).rglob(f"*{_NAME}*")]
    assert [one for one in left if "deb-systemd-helper" in one or "etc/systemd" in one] == []
    assert not (service.root / "var/lib" / _NAME).exists()
    assert service.run("dpkg", "-i", f"/root/{packages[0].name}").returncode == 0, "it can come back"
    assert figures(service)("up") == 1
