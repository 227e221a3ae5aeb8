"""Values in containerd's databases: numbers of variable length, times, labels, names of images."""

import struct
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.inventory.files.bolt import Bucket, word
from exporter.inventory.image_store.binary import inner, labels, moment, signed, unsigned
from exporter.inventory.image_store.manifests import chain_id, parts
from exporter.inventory.image_store.names import familiar, is_digest_name, repository_and_tag

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


@given(st.integers(0, 2**63 - 1))
def test_numbers_come_back(value: int) -> None:
    assert unsigned(_varint(value)) == value
    assert signed(_varint(value << 1)) == (value if value < 2**62 else None)


@pytest.mark.parametrize("raw", [None, b"", b"\x80", b"\xff" * 9, b"\xff" * 11, _varint(2**63), _varint(2**64 - 1)])
def test_what_is_no_number_is_none(raw: bytes | None) -> None:
    assert unsigned(raw) is None


def test_a_size_below_0_is_none() -> None:
    assert signed(_varint(405 << 1)) == 405
    assert signed(_varint((405 << 1) - 1)) is None


def _binary(when: datetime, zone: int = 0xFFFF) -> bytes:
    passed = when - datetime(1, 1, 1, tzinfo=UTC)
    seconds = passed.days * 86_400 + passed.seconds
    return struct.pack(">BqiH", 1, seconds, passed.microseconds * 1000, zone)


@given(st.datetimes(datetime(1, 1, 1), datetime(9999, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 - st adds a zone
def test_times_come_back(when: datetime) -> None:
    found = moment(_binary(when))
    assert found is not None
    assert abs(_EPOCH + timedelta(seconds=found) - when) < timedelta(milliseconds=1)


@pytest.mark.parametrize("raw", [None, b"", b"\1" * 14, b"\3" + bytes(14), struct.pack(">BqiH", 1, 5, -1, 0)])
def test_what_is_no_time_is_none(raw: bytes | None) -> None:
    assert moment(raw) is None


def test_texts_that_are_not_unicode_stay_apart() -> None:
    assert word(b"\xff") != word(b"\xfe")
    assert word(None) == ""
    found = labels(Bucket({}, {b"labels": Bucket({b"a": b"1", b"\xff": b"2"})}))
    assert found == {"a": "1", "\udcff": "2"}
    assert labels(Bucket()) == {}
    assert inner(Bucket({}, {b"a": Bucket({}, {b"b": Bucket()})}), b"a").buckets == {b"b": Bucket()}
    assert inner(Bucket(), b"a", b"b") == Bucket()


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("docker.io/library/app:1", "app:1"),
        ("docker.io/team/app:1", "team/app:1"),
        ("docker.io/library/team/app:1", "library/team/app:1"),
        ("registry.example:5000/library/app:1", "registry.example:5000/library/app:1"),
        ("docker.io/library/app@sha256:00", "app@sha256:00"),
        ("docker.iox/library/app:1", "docker.iox/library/app:1"),
    ],
)
def test_names_are_shown_as_docker_shows_them(name: str, shown: str) -> None:
    assert familiar(name) == shown


def test_a_name_is_divided_at_its_tag() -> None:
    assert repository_and_tag("registry.example:5000/app:1") == ("registry.example:5000/app", "1")
    assert repository_and_tag("registry.example:5000/app") is None
    assert repository_and_tag("app@sha256:00") is None
    assert repository_and_tag(":1") is None
    assert is_digest_name("app@sha256:00")
    assert not is_digest_name("moby-dangling@sha256:00")


def test_digests_are_told_from_other_names() -> None:
    assert parts(f"sha256:{'0' * 64}") == ("sha256", "0" * 64)
    for name in ("", "sha256:", f"sha256:{'0' * 63}/", f"{'0' * 64}", f"sha256:../{'0' * 64}", f"sha256:{'0' * 64}\n"):
        assert parts(name) is None


def test_a_chain_id_names_all_layers_below_it() -> None:
    assert chain_id([]) == ""
    assert chain_id(["sha256:aa"]) == "sha256:aa"
    # By `printf 'sha256:aa sha256:bb' | sha256sum`.
    assert (
        chain_id(["sha256:aa", "sha256:bb"])
        == "sha256:b68ad689d6d1ec110ea1c13617437ad6f3766d4b3b309f6a603a222e07a0164f"
    )
    assert chain_id(["sha256:aa", 5]) == ""
