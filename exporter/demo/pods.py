"""Writes the containers of Kubernetes' pods, as the CRI plugin of containerd does in the namespace `k8s.io`.

Facts: containerd 2.1 internal/cri/server (container_create.go, sandbox_run.go: keys, labels), internal/cri/labels.
"""

from collections.abc import Mapping
from pathlib import Path

from exporter.demo import oci
from exporter.demo.containerd import Namespace
from exporter.demo.writer import Content

_KIND = "io.cri-containerd.kind"


def image(namespace: Namespace, name: str, of: oci.OciManifest) -> None:
    """Write an image with the two names that the CRI plugin gives it: its own, and the digest of its config."""
    label = {"io.cri-containerd.image": "managed"}
    namespace.image(name, of, labels=label)
    host = next((one for one in of.manifests if one.platform == oci.HOST_PLATFORM), of)
    assert host.config is not None
    namespace.name_image(host.config.digest, of, label)


def container(  # noqa: PLR0913 - a container has that many sides
    namespace: Namespace,
    identity: str,
    image_name: str,
    on: str,
    *,
    pod: str,
    pod_namespace: str = "default",
    name: str = "",
    sandbox: str = "",
    writable: Mapping[str, Content] | None = None,
    running: bool = True,
) -> Path:
    """Write a container of a pod, or the pod's sandbox if it has no name; return the directory of its files.

    `on` is the key of the snapshot below its own. A container that has ended keeps its entry.
    """
    content = namespace.snapshot(identity, on, writable or {}, "active")
    labels = {"io.kubernetes.pod.name": pod, "io.kubernetes.pod.namespace": pod_namespace}
    labels |= {"io.kubernetes.pod.uid": f"uid-of-{pod}", _KIND: "container" if name else "sandbox"}
    labels |= {"io.kubernetes.container.name": name} if name else {}
    namespace.container(identity, image_name, key=identity, labels=labels, sandbox=sandbox, running=running)
    return content
