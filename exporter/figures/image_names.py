"""The names of images in containerd that a container of Docker keeps from a prune.

Facts: distribution/reference v0.6 normalize.go (ParseNormalizedNamed, TagNameOnly); moby 28.5
daemon/containerd/image_prune.go (filterImagesUsedByContainers).
"""

from collections.abc import Iterator, Sequence

_DEFAULT_DOMAIN, _OLD_DOMAIN = "docker.io", "index.docker.io"
_OFFICIAL = "library/"
_SHA256 = "sha256:"
#: Docker's name for an image that has lost its names: this and the digest.
_DANGLING = "moby-dangling@"


def dangling_name(digest: str) -> str:
    """The name under which Docker keeps an image that has no other one."""
    return _DANGLING + digest


def kept_names(given: str) -> Iterator[str]:
    """The full names that are kept by a container whose image the user has `given` like this.

    A name without a tag means `latest`. One with a tag and a digest keeps that with the tag alone, too.
    """
    name, at, digest = given.partition("@")
    domain, path = _domain(name)
    tagged = ":" in path.rpartition("/")[2]
    whole = f"{domain}/{path}"
    if at:
        yield f"{whole}@{digest}"
        if tagged:
            yield whole
    else:
        yield whole if tagged else f"{whole}:latest"


def is_by_digest(given: str, digest: str) -> bool:
    """Whether the user has given an image by its id, or the beginning of it, or by its digest."""
    return digest.startswith(_SHA256 + given.removeprefix(_SHA256)) or given.endswith("@" + digest)


def _domain(name: str) -> tuple[str, str]:
    """The registry of a name, and the rest of it."""
    first, slash, rest = name.partition("/")
    if not slash:
        return _DEFAULT_DOMAIN, _OFFICIAL + name
    if first == "localhost" or "." in first or ":" in first or first != first.lower():
        domain, path = first, rest
    else:
        domain, path = _DEFAULT_DOMAIN, name
    if domain == _OLD_DOMAIN:
        domain = _DEFAULT_DOMAIN
    if domain == _DEFAULT_DOMAIN and "/" not in path:
        path = _OFFICIAL + path
    return domain, path


def names_to_remove(references: Sequence[str], digests: Sequence[str], image: str) -> tuple[str, ...]:
    """What `docker rmi` needs to remove an image: its tags, the digests that do not go with these, or its id.

    With the last tag of a repository go the digests of that repository, and no others (moby 20.10
    daemon/images/image_delete.go, ImageDelete; 28.5 daemon/containerd/image_delete.go). Docker takes the beginning of
    an id for a name where an image has that name, so `image` is the whole id.
    """
    tagged = {one.rpartition(":")[0] for one in references}
    return (*references, *(one for one in digests if one.partition("@")[0] not in tagged)) or (image,)
