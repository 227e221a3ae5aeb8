"""Images, containers, build records and pods in as many states as one engine with containerd's image store can have."""

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from exporter.expose.snapshot_api.rows import ReclaimableRow
from tests.support.archives import FOREIGN, NATIVE, Archive
from tests.support.product import document_of
from tests.support.todays_engine import TodaysEngine
from tests.support.waiting import eventually

_QUIET = ("--network", "none")
_WAITS = ("sleep", "1000")
_STEP = "FROM base:1\nRUN echo {name} > /{name}\n"
_STAGES = """
FROM base:1 AS build
RUN echo built > /built && dd if=/dev/urandom of=/big bs=1k count=50
RUN rm /built
FROM base:1
COPY --from=build /big /copied
RUN --mount=type=cache,target=/cache dd if=/dev/urandom of=/cache/file bs=1k count=90
VOLUME /data
LABEL made=here
CMD ["sh"]
"""
_LINKED = """
FROM base:1 AS build
RUN dd if=/dev/urandom of=/big bs=1k count=20
FROM base:1
COPY --link --from=build /big /first
COPY --link --from=build /big /second
"""
#: What the trace of a build begins with. BuildKit writes it into the build history seconds after the build.
_TRACE = b'"SpanContext"'


def fill(one: TodaysEngine) -> None:
    """Make all of it. Builds come after work that takes more than a second.

    An engine looks at its build records one second after its start. Those of a build under way would be wrong in its
    memory from then on: it keeps what it has found of a record's layers (buildkit v0.25 cache/refs.go,
    layerDigestChain), also when the layer has no blob yet.
    """
    one.base()
    _load(one)
    one.build("classic:1", "FROM base:1\nRUN echo 1 > /first\nRUN echo 2 > /second\n")
    _volumes(one)
    _start(one, "made", "base:1", "sh", how="create")
    _start(one, "early", "base:1", *_WAITS)
    _build(one)
    _run(one)
    _run_moved(one)
    _commit(one)
    if one.driver == "overlayfs":
        _pods(one)
    settle(one)


def _content(blob: Path) -> bytes:
    """What is in a blob; nothing where it was collected since it was listed."""
    try:
        return blob.read_bytes()
    except FileNotFoundError:
        return b""


def settle(one: TodaysEngine) -> None:
    """Wait until the traces of all builds have been written."""
    blobs = one.store / "io.containerd.content.v1.content/blobs/sha256"

    def traces() -> int:
        return sum(_TRACE in _content(blob) for blob in blobs.iterdir())

    eventually(lambda: traces() >= one.builds)


def promised(one: TodaysEngine) -> Sequence[ReclaimableRow]:
    """What each prune frees, read when neither the engine nor the disk changes what the files hold any more."""

    def at_rest() -> Sequence[ReclaimableRow]:
        before = one.held()
        rows = document_of(one.root, containerd=one.further).reclaimable
        *rest, left_over = rows
        return rest if one.held() == before and not left_over.objects else ()

    return eventually(at_rest)


def image_id(one: TodaysEngine, name: str) -> str:
    """The id of an image: the digest that its name leads to."""
    return one.run("image", "inspect", name, "--format", "{{.Id}}")


def _load(one: TodaysEngine) -> None:
    both = {NATIVE: [b"common" * 5000, b"one" * 7000], FOREIGN: [b"common" * 5000, b"other" * 9000]}
    _load_one(one, "docker.io/example/both:1", both)
    _load_one(one, "docker.io/example/part:1", {NATIVE: [b"part" * 5000], FOREIGN: [b"gone" * 900]}, FOREIGN)
    _load_one(one, "docker.io/example/foreign:1", {NATIVE: [b"f" * 500], FOREIGN: [b"foreign" * 9000]}, NATIVE)
    for content in (b"1", b"2"):
        _load_one(one, "docker.io/example/over:1", {NATIVE: [b"over" * 5000, content * 8000]})


def _load_one(one: TodaysEngine, name: str, platforms: dict[str, list[bytes]], missing: str = "") -> None:
    archive = Archive()
    archive.image(name, platforms, missing=[missing])
    one.run("load", stdin=archive.packed())


def _volumes(one: TodaysEngine) -> None:
    one.run("volume", "create", "--label", "com.docker.compose.project=shop", "lonely")
    one.run("volume", "create")
    for name, options in {
        "memory": ("type=tmpfs", "device=tmpfs"),
        "bound": ("type=none", "o=bind", "device=/tmp"),
    }.items():
        one.run("volume", "create", *(word for option in options for word in ("--opt", option)), name)


def _build(one: TodaysEngine) -> None:
    dated = 'RUN dd if=/dev/zero of=/big bs=1k count=300\nRUN echo hi > /x && rm /big\nCMD ["sh"]\n'
    one.build("kit:1", f"FROM base:1\n{dated}", builder="1")
    one.build("kit:2", "FROM base:1\nRUN dd if=/dev/zero of=/big bs=1k count=300\nRUN echo more > /y\n", builder="1")
    one.build("stages:1", _STAGES, builder="1")
    one.build("linked:1", _LINKED, builder="1")
    one.run("tag", "kit:1", "registry.example:5000/team/kit:v2")
    one.run("tag", "kit:1", "kit:latest")


def _run(one: TodaysEngine) -> None:
    write = "echo w > /w; dd if=/dev/zero of=/v/f bs=1k count=70; rm /one; ln /w /w2; echo a line of the log"
    labels = ("--label", "com.docker.compose.project=shop", "--label", "com.docker.compose.service=db")
    _start(one, "runs", "-v", "named:/v", "-v", "/anon", *labels, "kit:1", "sh", "-c", f"{write}; sleep 1000")
    _start(one, "ended", "-v", "other:/v", "kit:2", "sh", "-c", "dd if=/dev/zero of=/zero bs=1k count=33", how="run")
    _start(one, "paused", "stages:1", "sh", "-c", "echo 5 > /h; sleep 1000")
    one.run("pause", "paused")
    _start(one, "mounts", "--mount", "type=image,source=kit:2,target=/image", "base:1", *_WAITS)
    _step(one, "byid", "zz/byid:2", "aa/byid:3")
    _start(one, "byid", image_id(one, "byid:1"), *_WAITS)
    _step(one, "short", "short:2")
    _start(one, "short", image_id(one, "short:1")[7:19], *_WAITS)
    _step(one, "digest", "digest:2", "other/digest:2")
    _start(one, "digest", f"digest@{image_id(one, 'digest:1')}", *_WAITS)
    _start(one, "tagged", f"other/digest:2@{image_id(one, 'digest:1')}", *_WAITS)
    _step(one, "several", "several:2", "several:3", "several")
    _start(one, "several1", "several:1", *_WAITS)
    _start(one, "several0", "several", *_WAITS)


def _run_moved(one: TodaysEngine) -> None:
    """Containers of images that have lost their name since."""
    _step(one, "moved", "alias:9")
    _start(one, "moved", "moved:1", *_WAITS)
    one.build("moved:1", "FROM base:1\nRUN echo again > /moved\n", builder="1")
    _step(one, "gone")
    _start(one, "gone", "gone:1", *_WAITS)
    one.build("gone:1", "FROM base:1\nRUN echo again > /gone\n", builder="1")
    _step(one, "forced")
    _start(one, "forced", "forced:1", *_WAITS)
    one.run("rmi", "-f", "forced:1")


def _commit(one: TodaysEngine) -> None:
    write = "dd if=/dev/urandom of=/committed bs=1k count=44"
    _start(one, "removed", "kit:1", "sh", "-c", write, how="run")
    one.run("commit", "removed", "committed:1")
    one.run("rm", "removed")
    _start(one, "committed", "base:1", "sh", "-c", write, how="run")
    one.run("commit", "committed", "committed:2")
    one.build("oncommit:1", "FROM committed:1\nRUN echo 1 > /oncommit\n", builder="1")


def _step(one: TodaysEngine, name: str, *tags: str) -> None:
    one.build(f"{name}:1", _STEP.format(name=name), builder="1")
    for tag in tags:
        one.run("tag", f"{name}:1", tag)


def _start(one: TodaysEngine, name: str, *arguments: str, how: str = "") -> None:
    one.run(*((how,) if how else ("run", "-d")), *_QUIET, "--name", name, *arguments)


def _pods(one: TodaysEngine) -> None:
    """A namespace as a kubelet's, with images that Docker has, too, and a second snapshotter."""
    archive = one.scratch / "saved.tar"
    one.run("save", "-o", str(archive), "kit:1", "base:1", "several:1")
    one.ctr("k8s.io", "images", "import", str(archive))
    alone = Archive()
    alone.image("registry.example/pods/alone:1", {NATIVE: [b"alone" * 8000]})
    archive.write_bytes(alone.packed())
    one.ctr("k8s.io", "images", "import", "--local", "--snapshotter", "native", str(archive))
    _pod(one, "web", "docker.io/library/kit:1", "overlayfs")
    _pod(one, "job", "registry.example/pods/alone:1", "native")
    listed = one.ctr("moby", "snapshots", "ls").splitlines()
    top = next(line.split()[0] for line in listed if line.startswith("sha256:") and "Committed" in line)
    one.ctr("moby", "snapshots", "prepare", "by-hand", top)


def _pod(one: TodaysEngine, name: str, image: str, snapshotter: str) -> None:
    about = {"io.cri-containerd.kind": "container", "io.kubernetes.container.name": name}
    about |= {"io.kubernetes.pod.name": f"{name}-0", "io.kubernetes.pod.namespace": "default"}
    labels = (word for key, value in about.items() for word in ("--label", f"{key}={value}"))
    one.ctr("k8s.io", "containers", "create", "--snapshotter", snapshotter, *labels, image, name)


@contextmanager
def ingest(one: TodaysEngine, namespace: str = "moby") -> Iterator[None]:
    """A blob that is being written."""
    command = [*one.inside(), "ctr", "--address", one.socket, "--namespace", namespace, "content", "ingest", "coming"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        assert process.stdin is not None
        try:
            process.stdin.write(b"i" * 200_000)
            process.stdin.flush()
            directory = one.store / "io.containerd.content.v1.content/ingest"
            eventually(lambda: any(path.stat().st_size >= 200_000 for path in directory.glob("*/data")))
            yield
        finally:
            process.kill()
