import base64
import contextlib
import http.client
import json
import os
import select
import signal
import ssl
import subprocess
import sys
from pathlib import Path

import bcrypt
import pytest

from exporter.core.log import Sink
from exporter.core.version import VERSION
from tests.support import pki
from tests.support.exporter import exporter
from tests.support.product import needs
from tests.support.roots import graph_root
from tests.support.waiting import DEADLINE


def test_one_line_at_the_start_has_the_effective_configuration(tmp_path: Path) -> None:
    hashed = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()
    web, settings = tmp_path / "web.yml", tmp_path / "settings.yml"
    web.write_text(f"basic_auth_users:\n  prom: {hashed}\n")
    settings.write_text(f"web.config.file: {web}\nscan.duty-cycle: 0.25\n")
    root = graph_root(tmp_path / "root").path
    with exporter(root, "--log.format", "json", "--config.file", str(settings)) as running:
        assert running.get()[0] == 401
        running.stop()
        assert running.process.stderr is not None
        lines = running.lines + running.process.stderr.readlines()
    events = [json.loads(line) for line in lines]
    (start,) = [event for event in events if event["event"] == "serving"]
    expected = {"version": VERSION, "root": str(root), "duty_cycle": 0.25, "scan_interval": 1.0, "log_format": "json"}
    assert expected.items() <= start.items()
    assert (start["web_config_file"], start["tls"], start["basic_auth"]) == (str(web), False, True)
    assert hashed not in "".join(lines)


def test_the_level_decides_what_is_logged(tmp_path: Path) -> None:
    with exporter(graph_root(tmp_path).path, "--log.level", "debug") as running:
        running.log_line("event=scan.done")
        running.stop()


@needs("openssl")
@pytest.mark.parametrize("style", ["json", "logfmt"])
def test_no_secret_is_ever_logged(tmp_path: Path, style: str) -> None:
    pki.authority(tmp_path)
    pki.signed(tmp_path, "server", "IP:127.0.0.1")
    context = ssl.create_default_context(cafile=str(tmp_path / "ca.crt"))
    hashed = bcrypt.hashpw(b"secretword", bcrypt.gensalt(4)).decode()
    key = (tmp_path / "server.key").read_text()
    inline = "|\n" + "".join(f"    {line}\n" for line in key.splitlines())
    good = f"basic_auth_users:\n  prom: {hashed}\ntls_server_config:\n  cert_file: server.crt\n  key: {inline}"
    broken = [
        good.replace(hashed, "secretword"),
        good.replace(hashed, hashed[:-5]),
        good.replace(f"prom: {hashed}", f"prom:{hashed}"),
        good.replace("BEGIN PRIVATE", "BEGIN SOME"),
        good.replace("    MI", "    "),
        good.replace("|", "[", 1),
        good + f"basic_auth_users:\n  - {hashed}\n",
        good + "secrets: secretword\n",
    ]
    web = tmp_path / "web.yml"
    web.write_text(good)
    root = graph_root(tmp_path / "root").path
    flags = ("--log.level", "debug", "--log.format", style, "--web.config.file", str(web))
    with exporter(root, *flags) as running:

        def ask(authorization: str) -> int:
            connection = http.client.HTTPSConnection("127.0.0.1", running.port, timeout=DEADLINE, context=context)
            with contextlib.closing(connection):
                connection.request("GET", "/?token=secretword", headers={"authorization": authorization})
                return connection.getresponse().status

        token = base64.b64encode(b"prom:secretword").decode()
        assert ask(f"Basic {token}") == 200
        assert ask(f"Basic {token[:-1]}") == ask(f"Bearer {token}") == 401
        for text in broken:
            web.write_text(text)
            assert ask(f"Basic {token}") == 200, "what was good stays in force"
        web.write_text(good.replace("prom", "other"))
        assert ask(f"Basic {token}") == 401
        running.stop()
        assert running.process.stderr is not None
        lines = running.lines + running.process.stderr.readlines()
    log = "".join(lines)
    for secret in ("secretword", token[:20], hashed[7:30], *key.splitlines()[1:3]):
        assert secret not in log
    assert log.count("web_config.failed") == len(broken)
    assert "raceback" not in log
    if style == "json":
        assert all(json.loads(line) for line in lines)


def test_names_from_the_disk_break_no_line(tmp_path: Path) -> None:
    root = graph_root(tmp_path / "root\nlevel=error event=forged \x1b[31m").path
    with exporter(root, "--log.level", "debug") as running:
        running.log_line("event=scan.done")
        running.stop()
        assert running.process.stderr is not None
        lines = running.lines + running.process.stderr.readlines()
    assert all(line.startswith("timestamp=") and "\x1b" not in line for line in lines)


def test_a_log_that_nobody_reads_loses_lines_and_no_scrape(tmp_path: Path) -> None:
    with exporter(graph_root(tmp_path).path, "--log.level", "debug") as running:
        running.log_line("event=scan.done")
        assert running.process.stderr is not None
        pipe = os.open(f"/proc/self/fd/{running.process.stderr.fileno()}", os.O_WRONLY | os.O_NONBLOCK)
        with contextlib.suppress(BlockingIOError):
            while os.write(pipe, b"x"):
                pass
        os.close(pipe)
        running.process.send_signal(signal.SIGHUP)  # which is logged
        running.becomes("scans_total", 1, trigger="manual")  # the scanning process does not wait for its log either
        while select.select([running.process.stderr], [], [], 0)[0]:
            os.read(running.process.stderr.fileno(), 1 << 16)
        running.process.send_signal(signal.SIGHUP)
        running.log_line(r"event=log.lost lines=[1-9]")


def test_a_line_that_was_cut_spoils_none_behind_it() -> None:
    reading, writing = os.pipe()
    sink = Sink(writing)
    assert sink.write("first")
    assert not sink.write("long " * 100_000)
    assert not sink.write("lost")
    while len(os.read(reading, 1 << 16)) == 1 << 16:
        pass
    assert sink.write("second")
    assert os.read(reading, 100).decode().splitlines()[-1] == "second"
    os.close(reading)
    assert not sink.write("nobody will read this")
    os.close(writing)


def test_what_is_logged_before_the_log_is_set_up_is_no_output() -> None:
    code = "from exporter.core.log import Logger; Logger().warning('an.event', detail='two words')"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=DEADLINE)
    assert done.stdout == ""
    assert done.stderr.endswith('level=warning event=an.event detail="two words"\n')


def test_where_standard_error_is_closed_no_other_file_is_written_to(tmp_path: Path) -> None:
    code = "import sys; from exporter.core.log import Logger; file = open(sys.argv[1], 'w'); Logger().error('an.event')"
    command = ["sh", "-c", 'exec "$0" "$@" 2>&-', sys.executable, "-c", code, str(tmp_path / "file")]
    subprocess.run(command, check=True, timeout=DEADLINE)
    assert (tmp_path / "file").read_text() == ""
