"""`diff` as a command: files, and a Prometheus that answers in good and in bad ways."""

import gzip
import http.server
import json
import re
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import run
from tests.support.product import figures_of
from tests.support.roots.layerdb import DbRoot

_NOW = 1_700_000_000.0
_HOST = {"instance": "a:9588", "job": "docker-storage"}


@pytest.fixture
def built(tmp_path: Path) -> DbRoot:
    built = DbRoot(tmp_path).layer("base", 5000).image("app", "base", ["app:1"])
    return built.container("web", "app", "base", writable={"w": 9000}, log=20_000).volume("data", 9000)


def test_two_saved_snapshots(built: DbRoot, tmp_path: Path) -> None:
    root = ("--root", str(built.path), "--containerd.root", "none")
    old, new = tmp_path / "old.json", tmp_path / "new.json.gz"
    old.write_text(run("snapshot", *root).stdout)
    (built.path / "volumes/data/_data/\x85\x1b[2J").write_bytes(b"x" * 70_000)
    built.volume("\x85new", 5000)
    new.write_bytes(gzip.compress(run("snapshot", *root).stdout.encode()))
    done = run("diff", str(old), str(new))
    assert (done.returncode, done.stderr) == (0, "")
    first = done.stdout.splitlines()[2].split("\t")
    assert (first[1], first[-1]) == ("part", "volumes")
    assert "\\x85new" in done.stdout
    assert "\x1b" not in done.stdout
    data = json.loads(run("diff", str(old), str(new), "--json", "--limit", "1").stdout)
    assert [one["name"] for one in data["changes"]] == ["volumes"]


def test_a_saved_snapshot_and_what_is_there_now(built: DbRoot, tmp_path: Path) -> None:
    root = ("--root", str(built.path), "--containerd.root", "none")
    old = tmp_path / "old.json"
    old.write_text(run("snapshot", *root).stdout)
    built.volume("new", 5000)
    done = run("diff", str(old), *root, "--filter", "kind=volume", "--format", "{{.Name}} {{.State}} {{.Old}}")
    assert (done.returncode, done.stdout) == (0, "new came -\n")
    gone = run("diff", str(old), "--root", str(tmp_path / "gone"))
    assert (gone.returncode, gone.stdout) == (1, "")
    assert "does not exist" in gone.stderr


def test_usage_errors(tmp_path: Path) -> None:
    for arguments in (
        (),
        ("--since", "24h"),
        ("--from-prometheus", "http://127.0.0.1:1"),
        ("a", "b", "--since", "24h", "--from-prometheus", "http://127.0.0.1:1"),
        ("--since", "yesterday", "--from-prometheus", "http://127.0.0.1:1"),
        ("--since", "24h", "--from-prometheus", "http://127.0.0.1:1", "--label", "x"),
    ):
        assert run("diff", *arguments).returncode == 2, arguments
    missing = run("diff", str(tmp_path / "no"), str(tmp_path / "no"))
    assert (missing.returncode, len(missing.stderr.splitlines())) == (1, 1)


Reply = tuple[int, dict[str, str], bytes]


@contextmanager
def server(reply: Callable[[str, dict[str, str]], Reply]) -> Iterator[str]:
    """A server whose answers are made of path and query."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urllib.parse.urlsplit(self.path)
            status, headers, body = reply(parts.path, dict(urllib.parse.parse_qsl(parts.query)))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as made:
        thread = threading.Thread(target=made.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{made.server_port}"
        finally:
            made.shutdown()
            thread.join()


def _answer(rows: list[tuple[dict[str, str], float]], when: float) -> Reply:
    result = [{"metric": labels, "value": [when, str(value)]} for labels, value in rows]
    body = {"status": "success", "data": {"resultType": "vector", "result": result}}
    return 200, {"content-type": "application/json"}, json.dumps(body).encode()


class _Prometheus:
    """Answers instant queries from the samples of hosts, by how long ago."""

    def __init__(self, hosts: list[tuple[dict[str, str], dict[int, str]]]) -> None:
        self.hosts = hosts
        self.asked: list[dict[str, str]] = []

    def __call__(self, path: str, query: dict[str, str]) -> Reply:
        assert path == "/prefix/api/v1/query"
        self.asked.append(query)
        matchers = dict(re.findall(r'(\w+)=~?"((?:[^"\\]|\\.)*)"', query["query"]))
        names = matchers.pop("__name__")
        when = float(query.get("time", _NOW))
        rows: list[tuple[dict[str, str], float]] = []
        for labels, texts in self.hosts:
            text = texts.get(round(_NOW - when), "")
            if any(labels.get(name, "") != value for name, value in matchers.items()):
                continue
            for name, own, value in re.findall(r"^(\w+)(?:\{(.*)\})? (\S+)$", text, re.MULTILINE):
                if re.fullmatch(names, name):
                    rows.append(({"__name__": name, **labels, **dict(re.findall(r'(\w+)="([^"]*)"', own))}, value))
        return _answer(rows, when)


def _changes(data: Any) -> set[tuple[Any, ...]]:
    return {(one["kind"], one["name"], one["state"], one["change"]) for one in data["changes"]}


def _diff(url: str, *more: str) -> Any:
    return run("diff", "--since", "24h", "--from-prometheus", f"{url}/prefix", *more)


def test_a_prometheus_says_the_same_as_two_documents(built: DbRoot, tmp_path: Path) -> None:
    root = ("--root", str(built.path), "--containerd.root", "none")
    files = tmp_path / "old", tmp_path / "new"
    files[0].write_text(run("snapshot", *root).stdout)
    before = figures_of(built.path).text
    (built.path / "volumes/data/_data/more").write_bytes(b"x" * 70_000)
    built.log("web").write_bytes(b"x" * 30_000)
    built.volume("coming", 5000)
    files[1].write_text(run("snapshot", *root).stdout)
    after = figures_of(built.path).text
    with server(_Prometheus([(_HOST, {86400: before, 0: after})])) as url:
        done = _diff(url, "--json")
    assert done.returncode == 0, done.stderr
    data, expected = json.loads(done.stdout), json.loads(run("diff", *map(str, files), "--json").stdout)
    assert data["totals"] == expected["totals"]
    rows = [
        {(one["kind"], one["name"], one["state"], one["change"]) for one in found["changes"]}
        for found in (data, expected)
    ]
    assert rows[0] == rows[1]
    assert (data["new"], data["old"]) == (_NOW, _NOW - 86400)


def test_what_the_prometheus_does_not_have_is_not_known(built: DbRoot) -> None:
    text = figures_of(built.path).text
    hidden = re.sub(
        r'^docker_storage_known\{input="volumes"\} 1',
        'docker_storage_known{input="volumes"} 0',
        text,
        flags=re.MULTILINE,
    )
    without = re.sub(r"^docker_storage_volume_.*\n", "", hidden, flags=re.MULTILINE)
    with server(_Prometheus([(_HOST, {86400: without, 0: text})])) as url:
        done = _diff(url)
        (line,) = (one.split("\t") for one in done.stdout.splitlines() if "\tvolume\t" in one)
        assert (line[0], line[2], line[-1]) == ("?", "?", "data")
    with server(_Prometheus([(_HOST, {0: text})])) as url:  # it has no past
        data = json.loads(_diff(url, "--json").stdout)
        assert {one["state"] for one in data["changes"]} == {"unknown"}
        assert {one["old"] for one in (*data["changes"], *data["totals"])} == {None}


def test_one_of_several_hosts_is_chosen(built: DbRoot) -> None:
    text = figures_of(built.path).text
    hosts = [({**_HOST, "instance": f"{name}:9588", "cluster": "x y"}, {0: text, 86400: text}) for name in "ab"]
    asked = _Prometheus(hosts)
    with server(asked) as url:
        several = _diff(url)
        assert several.returncode == 1
        assert "--instance b:9588 --job docker-storage --label 'cluster=x y'" in several.stderr
        chosen = _diff(url, "--instance", "b:9588", "--job", "docker-storage")
        assert (chosen.returncode, chosen.stderr) == (0, "")
        assert all('instance="b:9588"' in one["query"] and 'cluster="x y"' in one["query"] for one in asked.asked[-2:])
        nobody = _diff(url, "--instance", 'c"}\n')
        assert (nobody.returncode, "no figures" in nobody.stderr) == (1, True)
        assert len(nobody.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        ((302, {"location": "http://127.0.0.1:1/stolen"}, b""), "302"),
        ((401, {}, b""), "--prometheus.user"),
        ((404, {}, b""), "404"),
        ((422, {}, b'{"status":"error","error":"query\\nis \\u001b too long"}'), "too long"),
        ((200, {}, b"<html>"), "no Prometheus"),
        (
            (200, {}, b'{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[]}]}}'),
            "no Prom",
        ),
        ((200, {"content-encoding": "gzip"}, gzip.compress(b"x" * 100, mtime=0)[:-9]), "cut off"),
        ((200, {}, b"[" * 200_000), "no Prometheus"),
    ],
    ids=["redirect", "401", "404", "422", "html", "matrix", "cut off", "nested"],
)
def test_an_answer_that_is_none_is_one_line(reply: Reply, said: str) -> None:
    with server(lambda *_: reply) as url:
        done = run("diff", "--since", "24h", "--from-prometheus", url)
    assert done.returncode == 1
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "\x1b" not in done.stderr
