import http.server
import json
import os
import pty
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from exporter.expose.snapshot_api.rows import SCHEMA, Document, PluginRow
from tests.support.exporter import exporter
from tests.support.paths import TOP
from tests.support.roots import GraphRoot, graph_root, hex_id
from tests.support.waiting import DEADLINE

_COMMANDS = (
    *("df", "images", "images --tree", "containers", "volumes", "build-cache", "layers", "layers --orphaned"),
    *("backup", "whose tmp"),
)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "exporter", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=DEADLINE)


@pytest.fixture
def built(tmp_path: Path) -> GraphRoot:
    built = graph_root(tmp_path).image("base", size=10).image("app", parent="base", size=3, tag="app:1")
    return built.container("web", image="app", writable={"w": 3}, volumes={"/srv": "/srv/web"})


def test_every_command_says_the_same_from_the_disk_and_from_an_exporter(built: GraphRoot) -> None:
    with exporter(built.path) as running:
        running.until(lambda figures: bool(figures.all("scan_success")))
        for line in _COMMANDS:
            here = run(*line.split(), "--root", str(built.path), "--json")
            there = run(*line.split(), "--from", f"http://127.0.0.1:{running.port}", "--json")
            assert (here.returncode, there.returncode, here.stderr + there.stderr) == (0, 0, ""), line
            one, other = json.loads(here.stdout), json.loads(there.stdout)
            for answer in (one, other):
                assert answer.pop("taken") > 0
                answer.pop("filesystems", None)
            assert one == other, line


def test_du_and_df_agree(built: GraphRoot) -> None:
    answer = json.loads(run("df", "--root", str(built.path), "--json").stdout)
    total = answer["total"]
    done = subprocess.run(["du", "-sx", "--block-size=1", built.path], capture_output=True, text=True, check=True)
    assert total["allocated"] == int(done.stdout.split()[0])
    freed = {row["category"]: (row["objects"], row["bytes"] > 0) for row in answer["reclaimable"]}
    assert freed["containers_stopped"] == (1, True)
    assert answer["unattributed"] > 0


def test_what_cannot_be_read_is_said_with_advice(built: GraphRoot, tmp_path: Path) -> None:
    (built.path / "graph" / hex_id("app") / "json").write_text("{")
    done = run("images", "--root", str(built.path))
    assert done.returncode == 1
    assert "decode: The file is damaged" in done.stderr
    assert "app" in done.stdout, "what is known is shown all the same"
    missing = run("df", "--root", str(tmp_path / "missing"), "--json")
    assert missing.returncode == 1
    assert json.loads(missing.stdout)["error"].startswith("does not exist; `docker info")
    assert "does not exist" in missing.stderr


def test_every_command_names_the_roots_of_remapped_users(built: GraphRoot) -> None:
    graph_root(built.path / "100000.100000").image("inner", size=3)
    for line in (*_COMMANDS, "once"):
        done = run(*line.split(), "--root", str(built.path))
        assert f"--root {built.path}/100000.100000" in done.stderr, line
        assert done.returncode == 0, line


@pytest.mark.parametrize("piped", [False, True])
def test_on_a_terminal_there_are_bars_and_beside_a_pipe_progress(built: GraphRoot, piped: bool) -> None:
    reading, writing = pty.openpty()
    command = [sys.executable, "-m", "exporter", "df", "--root", str(built.path)]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    output = subprocess.DEVNULL if piped else writing
    with subprocess.Popen(command, stdout=output, stderr=writing, env=environment) as process:
        os.close(writing)
        seen = b""
        with open(reading, "rb", buffering=0) as terminal:
            try:
                while piece := terminal.read(4096):
                    seen += piece
            except OSError:  # how the end of a pseudo-terminal reads
                pass
        assert process.wait(DEADLINE) == 0
    assert (b"measuring" if piped else "█".encode()) in seen


class _Answer(http.server.BaseHTTPRequestHandler):
    answers: dict[str, tuple[int, dict[str, str], bytes]]

    def do_GET(self) -> None:
        status, headers, body = self.answers[self.path]
        self.send_response(status, headers.get("reason"))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def _stranger(plugin: PluginRow) -> Document:
    """A document with nothing but a plugin."""
    nothing: Any = ()
    objects = dict.fromkeys(("layouts", "unmeasured", "drivers", "directories", "reclaimable", "layers"), nothing)
    objects |= dict.fromkeys(("images", "containers", "volumes", "missing", "problems", "filesystems"), nothing)
    return Document(
        schema=SCHEMA, exporter="", root="/x", error="", unattributed=0, taken=1.0, plugins=(plugin,), **objects
    )


@pytest.fixture
def strange() -> Iterator[str]:
    path = "/api/v1/snapshot"
    _Answer.answers = {
        f"/text{path}": (200, {}, b"hello"),
        f"/future{path}": (200, {}, b'{"schema": 99}'),
        f"/types{path}": (200, {}, b'{"schema": 1, "root": 5}'),
        f"/closed{path}": (401, {}, b""),
        f"/cut{path}": (200, {"content-encoding": "gzip"}, b"\x1f\x8b\x08\x00"),
        f"/rude{path}": (500, {"reason": "\x1b]0;owned\x07"}, b""),
        f"/away{path}": (302, {"location": "/text"}, b""),
        f"/ids{path}": (200, {}, msgspec.json.encode(_stranger(PluginRow("$(reboot)\n", "", ())))),
    }
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Answer)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"user:secret@127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("text", "no snapshot"),
        ("future", "schema 99"),
        ("types", "no snapshot"),
        ("closed", "401"),
        ("cut", "cut off"),
        ("away", "302"),
        ("rude", "500 \\x1b"),
        ("ids", "the id of a plugin is none: '$(reboot)"),
    ],
)
def test_an_answer_that_is_no_snapshot_is_an_error_in_one_line(strange: str, what: str, said: str) -> None:
    done = run("df", "--from", f"http://{strange}/{what}/")
    assert done.returncode == 1
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "secret" not in done.stderr
    assert done.stderr.rstrip("\n").isprintable()


def test_ctrl_c_ends_it_in_silence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        command = [sys.executable, "-m", "exporter", "df", "--from", f"127.0.0.1:{server.getsockname()[1]}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
            server.settimeout(DEADLINE)
            with server.accept()[0]:
                process.send_signal(signal.SIGINT)
                assert process.communicate(timeout=DEADLINE)[0] == b""
    assert process.returncode == 130


@pytest.mark.parametrize("command", ["images --tree", "backup", "df --json"])
def test_a_reader_that_has_seen_enough_is_no_error(tmp_path: Path, command: str) -> None:
    built = graph_root(tmp_path)
    for number in range(600):  # more than a pipe holds
        built.writer.image(hex_id(f"{number}"), layersize=number)
        built.writer.tag("repository-with-a-name", f"{number}", hex_id(f"{number}"))
    arguments = [sys.executable, "-m", "exporter", *command.split(), "--root", str(built.path)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(DEADLINE) == 0


def test_nobody_there_is_an_error_in_one_line() -> None:
    done = run("df", "--from", "127.0.0.1:1")
    assert done.returncode == 1
    assert "Connection refused" in done.stderr


@pytest.mark.parametrize(
    ("command", "rows", "kind"),
    [
        ("df", "directories", "DirectoryRow"),
        ("df", "reclaimable", "ReclaimableRow"),
        ("df", "filesystems", "FilesystemRow"),
        ("images --all", "images", "ImageRow"),
        ("containers", "containers", "ContainerRow"),
        ("layers", "layers", "LayerRow"),
    ],
)
def test_rows_are_those_of_the_documented_schema(built: GraphRoot, command: str, rows: str, kind: str) -> None:
    schema = json.loads((TOP / "docs" / "snapshot.schema.json").read_text())
    answer = json.loads(run(*command.split(), "--root", str(built.path), "--json").stdout)
    assert answer[rows]
    for row in answer[rows]:
        jsonschema.validate(row, {**schema, "$ref": f"#/$defs/{kind}"})


def test_a_layout_that_is_not_read_is_named_and_not_passed_off_as_empty(tmp_path: Path) -> None:
    for directory in ("io.containerd.content.v1.content/blobs/sha256", "io.containerd.metadata.v1.bolt"):
        (tmp_path / "docker/containerd/daemon" / directory).mkdir(parents=True)
    (tmp_path / "docker/containerd/daemon/io.containerd.metadata.v1.bolt/meta.db").write_bytes(b"x")
    (tmp_path / "docker/rootfs/overlayfs").mkdir(parents=True)
    for command in ("images", "images --tree", "layers", "backup", "df"):
        done = run(*command.split(), "--root", str(tmp_path / "docker"))
        assert "containerd" in (done.stdout if command == "df" else done.stderr), command
        assert done.returncode == 1, command
