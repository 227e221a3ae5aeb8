"""Which names of images a container keeps from a prune, from what the user gave when it was made."""

import pytest

from exporter.figures.image_names import is_by_digest, kept_names

_DIGEST = "sha256:" + "82" * 32


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("busybox", ["docker.io/library/busybox:latest"]),
        ("busybox:1", ["docker.io/library/busybox:1"]),
        ("team/app", ["docker.io/team/app:latest"]),
        ("docker.io/busybox", ["docker.io/library/busybox:latest"]),
        ("index.docker.io/busybox:1", ["docker.io/library/busybox:1"]),
        ("index.docker.io/team/app:1", ["docker.io/team/app:1"]),
        ("localhost/app", ["localhost/app:latest"]),
        ("host:5000/app", ["host:5000/app:latest"]),
        ("host.example/a/b:1", ["host.example/a/b:1"]),
        ("Upper/app:1", ["Upper/app:1"]),
        (f"app@{_DIGEST}", [f"docker.io/library/app@{_DIGEST}"]),
        (f"host:5000/app:1@{_DIGEST}", [f"host:5000/app:1@{_DIGEST}", "host:5000/app:1"]),
        ("", ["docker.io/library/:latest"]),
    ],
)
def test_a_name_is_kept_in_full_and_one_without_a_tag_is_the_latest(given: str, kept: list[str]) -> None:
    assert list(kept_names(given)) == kept


@pytest.mark.parametrize(
    ("given", "expected"),
    [(_DIGEST, True), ("8282", True), ("sha256:82", True), (f"app@{_DIGEST}", True), ("", True), ("app:1", False)],
)
def test_an_image_can_be_given_by_its_id_or_the_beginning_of_it(given: str, expected: bool) -> None:
    assert is_by_digest(given, _DIGEST) is expected
