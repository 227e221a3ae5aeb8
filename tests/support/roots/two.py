"""A data root whose images are in a containerd with a root of its own, as distribution packages and docker-ce make."""

from pathlib import Path

from exporter.demo import oci
from exporter.demo.containerd_docker import ContainerdWriter

#: Where that root lies beside the data root in the tests.
CONTAINERD = "containerd"


def two_roots(path: Path, *containers: str) -> ContainerdWriter:
    """Write both roots below `path`, with one image and these containers; `write` has been called."""
    data = path / "docker"
    data.mkdir()
    built = ContainerdWriter(data, home=path / CONTAINERD)
    target = built.image("docker.io/library/base:1", [oci.layer({"bin/a": b"a" * 5000, "etc/b": b"b"})])
    for name in containers:
        built.container(name, "base:1", target, writable={"written": name.encode()})
    built.write()
    return built
