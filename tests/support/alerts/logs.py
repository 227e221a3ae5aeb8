"""Situations of containers: logs, writable layers, and what is deployed again and again."""

from collections.abc import Callable, Iterator

from tests.support.alerts.playing import GB, HOUR, Course, Host, fires, silent, steady

RUNAWAY = "DockerContainerLogRunaway"
UNBOUNDED = "DockerContainerLogUnbounded"
LAYER = "DockerContainerWritableLayerLarge"
LIMIT = "DockerContainerWritableLayerNearLimit"
ORPHANED = "DockerStorageOrphanedLayers"
MISSING = "DockerStorageMissingLayers"
END = 5 * HOUR


def between(first: int, last: int, course: Course) -> Course:
    """A course that is there only for some time, from its own beginning."""
    return lambda at: course(at - first) if first <= at < last else None


def situations() -> Iterator[Host]:
    """All of them."""
    yield from _runaway()
    yield from _rotated()
    yield from _deployed()
    yield from _small_disks()
    yield from _layers()


def _host(name: str, avail: float = 50, size: float = 200) -> Host:
    return Host(name).disk(avail * GB, size * GB).placed().placed("containers")


def _runaway() -> Iterator[Host]:
    runs: Course = lambda at: 10e9 * at / HOUR  # noqa: E731 - short
    lossy: Course = lambda at: None if at % 10 == 7 else runs(at)  # noqa: E731 - short
    yield (
        _host("a log that runs away")
        .log("aaaaaaaaaaaa", runs)
        .expect(fires(RUNAWAY, 26, name="web"), silent(RUNAWAY, 15), steady(RUNAWAY, 30, END))
    )
    yield (
        _host("a log that runs away, one scrape in ten lost")
        .log("aaaaaaaaaaaa", lossy)
        .expect(fires(RUNAWAY, 30), steady(RUNAWAY, 32, END))
    )
    yield (
        _host("a log that runs away and has a limit of 5 GB")
        .log("aaaaaaaaaaaa", lambda at: min(runs(at) or 0, 5 * GB), limit=5 * GB, bounded=1)
        .expect(silent(RUNAWAY, END), silent(UNBOUNDED, END))
    )
    yield (
        _host("a limit that the disk cannot hold")
        .log("aaaaaaaaaaaa", runs, limit=500 * GB, bounded=1)
        .expect(fires(RUNAWAY, 30))
    )
    yield (
        _host("a log that grows slowly")
        .log("aaaaaaaaaaaa", lambda at: 2 * GB + at * 1e6)
        .expect(silent(RUNAWAY, END), fires(UNBOUNDED, 70))
    )
    yield (
        _host("a burst of five minutes in a log")
        .log("aaaaaaaaaaaa", lambda at: (2 + 2 * min(max(at - 60, 0) / 5, 1)) * GB)
        .expect(silent(RUNAWAY, END))
    )
    yield (
        _host("a log that runs away again after it was cut")
        .log("aaaaaaaaaaaa", lambda at: 10 * GB * (at - 120 * (at >= 120)) / HOUR)
        .expect(fires(RUNAWAY, 40), fires(RUNAWAY, 290))
    )
    host = _host("a container with two infos").log("aaaaaaaaaaaa", runs)
    host.container("aaaaaaaaaaaa", "web", image="web:2")
    yield host.expect(fires(RUNAWAY, 40))
    host = _host("a container that is renamed").log("aaaaaaaaaaaa", runs, name="web")
    host.series = {name: course for name, course in host.series.items() if "container_info" not in name}
    host.container("aaaaaaaaaaaa", "web", lambda at: at < 100).container(
        "aaaaaaaaaaaa", "old-web", lambda at: at >= 100
    )
    yield host.expect(fires(RUNAWAY, 90, name="web"), fires(RUNAWAY, 140, name="old-web"))


def _rotated() -> Iterator[Host]:
    saw: Callable[[float], Course] = lambda period: lambda at: (1.2 + 4 * (at % period) / period) * GB  # noqa: E731
    for period in (20, 45, 90):
        yield (
            _host(f"a log that is rotated at 5 GB each {period} minutes")
            .log("aaaaaaaaaaaa", saw(period))
            .expect(silent(RUNAWAY, END, since=2 * period))
        )
    yield (
        _host("a log between 0.8 and 1.2 GB")
        .log("aaaaaaaaaaaa", lambda at: (0.8 + 0.4 * (at % 40) / 40) * GB)
        .expect(silent(UNBOUNDED, END), silent(RUNAWAY, END))
    )
    yield (
        _host("a log of 2 GB for half an hour")
        .log("aaaaaaaaaaaa", lambda at: (2 if 60 <= at < 90 else 0.1) * GB)
        .expect(silent(UNBOUNDED, END))
    )


def _deployed() -> Iterator[Host]:
    host = _host("a service that is deployed each 50 minutes and logs 3 GB each time", 500, 1000)
    for number in range(7):
        host.log(f"{number:012d}", between(50 * number, 50 * number + 50, lambda at: 3 * GB * at / 50))
    yield host.expect(silent(UNBOUNDED, 70), fires(UNBOUNDED, 95, name="web"), steady(UNBOUNDED, 100, END))
    host = _host("the same of a swarm, whose tasks have names of their own", 500, 1000)
    _tasks(host, lambda at: (1 + 2 * at / 50) * GB, lambda number: f"web.1.{number:012d}", swarm_service="web")
    yield host.expect(fires(UNBOUNDED, 80, name="web"), steady(UNBOUNDED, 85, END, name="web"))
    host = _host("the same of pods that the kubelet runs with Docker", 500, 1000)
    _tasks(
        host,
        lambda at: (1 + 2 * at / 50) * GB,
        lambda number: f"k8s_web_{_pod(number)}_shop_0-0_0",
    )
    yield host.expect(fires(UNBOUNDED, 80, name="k8s_web_api_shop"), steady(UNBOUNDED, 85, END))
    host = _host("the same on a disk with 10 GB, which each deployment gives back: told at most once", 10, 100)
    _tasks(host, lambda at: 3 * GB * at / 50, lambda _: "web")
    yield host.expect(fires(RUNAWAY, 40, name="web"), silent(RUNAWAY, END, since=62), steady(UNBOUNDED, 100, END))
    host = _host("the same that logs more with each deployment", 14, 100)
    for number in range(5):
        more = between(50 * number, 50 * number + 50, lambda at, most=1.6**number * GB: most * (at % 50) / 50)  # type: ignore[misc]
        host.log(f"{number:012d}", more)
    yield host.expect(silent(RUNAWAY, 250, since=62))
    host = _host("a log that was cut, and then runs away", 14, 100)
    host.log("aaaaaaaaaaaa", lambda at: (3 * at / 50 if at < 50 else 6 * (at - 50) / 50) * GB)
    yield host.expect(silent(RUNAWAY, 85, since=62), fires(RUNAWAY, 110, name="web"))
    host = _host("a swarm that keeps the logs of old tasks", 12, 200)
    _tasks(host, lambda at: 3 * GB * min(at, 50) / 50, lambda number: f"web.1.{number:012d}", 400, swarm_service="web")
    yield host.expect(fires(RUNAWAY, 40, name="web"), steady(RUNAWAY, 45, END))
    host = _host("a container that is replaced while its log runs away", 50, 200)
    host.log("aaaaaaaaaaaa", between(0, 30, lambda at: 10 * GB * at / HOUR))
    host.log("bbbbbbbbbbbb", between(30, END, lambda at: 12 * GB * at / HOUR))
    yield host.expect(fires(RUNAWAY, 28, name="web"), fires(RUNAWAY, 90, name="web"))
    host = Host("three replicas, of which each has room for its log and all have not").placed().placed("containers")
    host.disk(lambda at: (15 - 3 * min(6, 4 * at / HOUR)) * GB)
    for key in "abc":
        course: Course = lambda at: min(6 * GB, 4 * GB * at / HOUR)  # noqa: E731 - short
        host.log(key * 12, course, limit=6 * GB, bounded=1.0)
    yield host.expect(fires(RUNAWAY, 40, name="web"))
    host = _host("pods of a Deployment that write 60 GB in each", 500, 1000)
    for number in range(7):
        key = f"{number:012d}"
        there = between(50 * number, 50 * number + 50, lambda at: 60 * GB)
        labels = {"driver": "overlayfs", "namespace": "k8s.io", "container_id": key}
        pod = _pod(number)
        host.add("container_info", lambda at, there=there: there(at) and 1.0, name="web", pod=pod, **labels)  # type: ignore[misc]
        host.add("container_writable_size_bytes", there, **labels)
    yield host.expect(fires(LAYER, 70, name="web", pod="api-*"), steady(LAYER, 75, END))
    host = _host("a container without a name that writes 60 GB", 500, 1000)
    labels = {"driver": "overlayfs", "namespace": "default", "container_id": "abcdefabcdef0123"}
    host.add("container_info", 1, image="web:1", **labels).add("container_writable_size_bytes", 60 * GB, **labels)
    yield host.expect(fires(LAYER, 70, name="abcdefabcdef"))
    host = _host("a container of 50 minutes that logs 3 GB, once", 500, 1000)
    host.log("aaaaaaaaaaaa", between(0, 50, lambda at: 3 * GB * at / 50))
    yield host.expect(silent(UNBOUNDED, END))
    host = _host("two containers, one with a limit").log("aaaaaaaaaaaa", 2 * GB, name="api")
    yield host.log("bbbbbbbbbbbb", 2 * GB, name="web", bounded=1, limit=3e9).expect(
        fires(UNBOUNDED, 65, name="api"), fires(UNBOUNDED, 65, 0, name="web")
    )


def _tasks(host: Host, course: Course, name: Callable[[int], str], stays: int = 50, /, **labels: str) -> None:
    """Deploy a service each 50 minutes: each container is there for so many minutes, and has a log of that course."""
    for number in range(7):
        key, size = f"{number:012d}", between(50 * number, 50 * number + stays, course)
        ids = {"driver": "overlay2", "container_id": key}
        there: Callable[[float], bool] = lambda at, size=size: size(at) is not None  # type: ignore[misc] # noqa: E731
        host.container(key, name(number), there, **labels).add("container_log_size_bytes", size, **ids)
        host.add("container_log_bounded", lambda at, there=there: 0.0 if there(at) else None, **ids)  # type: ignore[misc]


def _pod(number: int) -> str:
    """A pod of a Deployment: each release has another hash, and each pod a random end."""
    return f"api-{'bcdfghj'[number] * 9}-x{'2456789'[number]}kzb"


def _small_disks() -> Iterator[Host]:
    host = _host("a disk of 1 GB, and a log that fills it in half an hour", 0.8, 1)
    yield host.log("aaaaaaaaaaaa", lambda at: at * 25e6).expect(fires(RUNAWAY, 22))
    host = _host("a disk of 1 GB, and a log of 200 MB without a limit", 0.6, 1)
    yield host.log("aaaaaaaaaaaa", 2e8).expect(fires(UNBOUNDED, 65))
    host = _host("a disk of 20 GB, and a container that wrote 6 GB", 9, 20)
    host.container("aaaaaaaaaaaa", "web").add(
        "container_writable_size_bytes", 6 * GB, driver="overlay2", container_id="aaaaaaaaaaaa"
    )
    yield host.expect(fires(LAYER, 65, name="web"))
    host = _host("a disk of 5 GB with 700 MB of orphaned layers", 2, 5)
    host.add("layers_allocated_bytes", 7e8, driver="overlay2", use="orphaned")
    yield host.expect(fires(ORPHANED, 6 * HOUR + 5), silent(ORPHANED, 6 * HOUR - 5))


def _layers() -> Iterator[Host]:
    key = {"driver": "overlay2", "container_id": "aaaaaaaaaaaa"}
    host = _host("a container that wrote 11 GB, with gaps").container("aaaaaaaaaaaa", "web")
    host.add("container_writable_size_bytes", lambda at: None if at % 40 in (5, 6, 7) else 11 * GB, **key)
    yield host.expect(fires(LAYER, 65), silent(LAYER, 55), steady(LAYER, 66, END))
    host = _host("a container near its own limit").container("aaaaaaaaaaaa", "web")
    host.add("container_writable_allocated_bytes", lambda at: None if at % 12 == 5 else 9.5 * GB, **key)
    yield host.add("container_writable_limit_bytes", 10 * GB, **key).expect(fires(LIMIT, 18), steady(LIMIT, 20, END))
    host = _host("layers that are missing, one scrape in ten lost")
    host.add("missing_layers", lambda at: None if at % 10 == 3 else 2.0, driver="overlay2")
    yield host.expect(fires(MISSING, 18), steady(MISSING, 20, END))
    host = _host("a layer that is missing for ten minutes")
    yield host.add("missing_layers", lambda at: float(60 <= at < 68), driver="overlay2").expect(silent(MISSING, END))
    host = _host("a container at 90 % of its own limit").container("aaaaaaaaaaaa", "web")
    host.add("container_writable_allocated_bytes", 9 * GB, **key)
    yield host.add("container_writable_limit_bytes", 10 * GB, **key).expect(silent(LIMIT, 100))
