"""Names of images in containerd, and what Docker shows for them.

Facts: distribution/reference (normalize.go, FamiliarString); moby 28 daemon/containerd/image.go (`moby-dangling`).
"""

DANGLING = "moby-dangling@"
_DEFAULT_DOMAIN = "docker.io/"
_OFFICIAL = "library/"


def familiar(name: str) -> str:
    """The name as Docker prints it: without the domain and the repository that it takes by default."""
    if not name.startswith(_DEFAULT_DOMAIN):
        return name
    rest = name.removeprefix(_DEFAULT_DOMAIN)
    short = rest.removeprefix(_OFFICIAL)
    # `docker.io/library/a/b` is another repository than `a/b`.
    return rest if "/" in short and short != rest else short


def repository_and_tag(name: str) -> tuple[str, str] | None:
    """Divide a name with a tag; None for one without, or with a digest."""
    if "@" in name:
        return None
    repository, colon, tag = name.rpartition(":")
    return (repository, tag) if colon and "/" not in tag and repository else None


def is_digest_name(name: str) -> bool:
    """Whether a name is `repository@digest`, and no mark of Docker's for an image without a name."""
    return "@" in name and not name.startswith(DANGLING)
