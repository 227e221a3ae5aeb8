"""A small data root with a containerd image store, for tests of what is shown of it."""

from pathlib import Path

from exporter.demo import oci, pods
from exporter.demo.containerd_docker import ContainerdWriter
from exporter.demo.layerdb import digest
from tests.support.roots import hex_id

BASE, APP = oci.layer({"bin/sh": b"#" * 9000}), oci.layer({"srv/app": b"x" * 5000})
ARM = oci.layer({"bin/sh": b"arm" * 3000})
STEP = oci.layer({"usr/lib/step": b"s" * 7000})
POD = hex_id("pod")


def store_root(path: Path, home: Path | None = None) -> ContainerdWriter:
    """An image for two platforms with a container, its base, which a pod has too, build cache, history, and an ingest.

    `home`: where containerd's root is; below the data root without it.
    """
    writer = ContainerdWriter(path, home=home)
    base = writer.image("docker.io/library/base:1", [BASE])
    both = oci.index([oci.manifest([BASE, APP]), oci.manifest([ARM], "linux/arm64")])
    app = writer.image("registry.example/team/app:2", both)
    writer.container("web", "registry.example/team/app:2", app, writable={"tmp/x": b"y" * 6000}, log=b"{}\n")
    writer.build_record("base", chain=base.chains[0], layer=BASE)
    writer.build_record("step", parent="base", files=STEP.files, layer=STEP, description="RUN make")
    writer.history("first", {"log": b"step 1\n" * 900, "trace": b"{}"})
    writer.moby.ingest("layer-0", b"half", 100)
    node = writer.store.namespace("k8s.io")
    pods.image(node, "docker.io/library/base:1", oci.manifest([BASE]))
    pods.container(node, POD, "docker.io/library/base:1", base.chains[0], pod="agent-1", name="agent")
    writer.write()
    return writer


def container_id(name: str) -> str:
    """The id that the writer gives a container of Docker's."""
    return digest("container" + name)
