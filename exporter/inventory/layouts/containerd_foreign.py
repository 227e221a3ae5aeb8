"""The containers of the namespaces of a containerd image store that are not Docker's, or of a Docker elsewhere.

Facts: containerd 2.1 core/metadata/containers.go; moby 28 daemon/containerd/image_snapshot.go (createLayer). Of a
container of Docker there is an entry without a snapshot, while it runs, and for as long as it exists a lease and a
snapshot with its id.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property

from msgspec import Struct
from msgspec.structs import replace

from exporter.core.content import StoreNode
from exporter.core.model import Container, ContainerId, ContainerState, Image, ImageId, LayerKey
from exporter.inventory.files.reader import is_id
from exporter.inventory.image_store.manifests import parts
from exporter.inventory.image_store.meta import ContainerEntry, NamespaceEntry
from exporter.inventory.layouts.containerd_snapshots import Snapshots

#: containerd's labels of a container that Kubernetes has made (containerd 2.1 internal/cri/labels/labels.go and
#: k8s.io/kubelet pkg/types/labels.go).
_POD = ("io.kubernetes.pod.name", "io.kubernetes.pod.namespace", "io.kubernetes.container.name")
_KIND = "io.cri-containerd.kind"
_SANDBOX = "sandbox"
#: What nerdctl calls a container (nerdctl pkg/labels/labels.go).
_NERDCTL_NAME = "nerdctl/name"


class ForeignContainers(Struct, dict=True):
    """Lists the containers of all namespaces but Docker's.

    `images` are those of the store, `default` is the driver of a container without a snapshot.
    """

    namespaces: Mapping[str, NamespaceEntry]
    snapshots: Snapshots
    images: Iterable[Image]
    default: str
    _snapshotters: Sequence[str] = ()

    def read(self, engine: str) -> Iterator[Container]:
        """The containers. containerd does not write down whether one runs."""
        self._snapshotters = sorted(name for name, snapshots in self.snapshots.by_layer.items() if snapshots)
        for name, space in self.namespaces.items():
            if name == engine:
                continue
            for key, entry in space.containers.items():
                yield self._container(name, space, key, entry)
            for key in space.leases:
                if is_id(key) and key not in space.containers and self._own(name, key) is not None:
                    yield self._container(name, space, key, ContainerEntry())

    @cached_property
    def _tops(self) -> Mapping[LayerKey, Mapping[ImageId, Image]]:
        """The images of each snapshot that is the uppermost of one, by id."""
        tops: dict[LayerKey, dict[ImageId, Image]] = defaultdict(dict)
        layers = {one.layer: node for node, one in self.snapshots.by_node.items()}
        for image in self.images:
            keys = {*(LayerKey(image.driver, one) for one in image.layers), *image.further}
            nodes = {layers[key] for key in keys if key in layers}
            below = {StoreNode(*node[:2], self.snapshots.by_node[node].entry.parent) for node in nodes}
            for node in nodes - below:
                tops[self.snapshots.by_node[node].layer][image.id] = image
        return tops

    def _own(self, namespace: str, container: str) -> StoreNode | None:
        """The snapshot that has the id of a container."""
        nodes = (StoreNode(namespace, snapshotter, container) for snapshotter in self._snapshotters)
        return next((node for node in nodes if node in self.snapshots.by_node), None)

    def _container(self, namespace: str, space: NamespaceEntry, key: str, entry: ContainerEntry) -> Container:
        node = self._own(namespace, key) if entry.snapshot is None else StoreNode(namespace, *entry.snapshot)
        pod, pod_namespace, pod_container = (entry.labels.get(label, "") for label in _POD)
        if entry.labels.get(_KIND) == _SANDBOX:
            pod_container = pod_container or "POD"
        container = Container(
            driver=node.snapshotter if node else self.default,
            id=ContainerId(key),
            name=pod_container or entry.labels.get(_NERDCTL_NAME, ""),
            image=entry.image,
            state=ContainerState.UNKNOWN,
            created=entry.created,
            namespace=namespace,
            pod=pod,
            pod_namespace=pod_namespace,
            pod_container=pod_container,
            foreign=True,
        )
        if node is not None:
            container = self._with_layers(container, node)
        image = space.images.get(entry.image)
        target = parts(image.target) if image else None
        return replace(container, image_id=self._image(container, ImageId(target[1]) if target else None))

    def _with_layers(self, container: Container, node: StoreNode) -> Container:
        chain = self.snapshots.chain(node)
        found = chain.of_container(container.id)
        missing = (chain.missing,) if chain.missing else ()
        return replace(container, layer=found.layer, init=found.init, chain=found.chain, cut=found.cut, missing=missing)

    def _image(self, container: Container, named: ImageId | None) -> ImageId | None:
        """The image that a container was made from: the one whose snapshot it stands on.

        Its name may lead to another image since. `named` is where it leads now; it stands where the snapshots do not
        tell.
        """
        if not container.chain:
            return named
        keys = [LayerKey(container.driver, layer) for layer in container.chain]
        if here := self._tops.get(keys[0]):
            return named if named in here else min(here)
        # A layer of the container's own can lie between: one with the ids of a remapped user.
        if any(named in self._tops.get(key, ()) for key in keys[1:]):
            return named
        return None if self._is_unpacked(named, container) else named

    def _is_unpacked(self, image: ImageId | None, container: Container) -> bool:
        found = (one for images in self._tops.values() for one in images.values() if one.id == image)
        return any(one.namespace == container.namespace for one in found)
