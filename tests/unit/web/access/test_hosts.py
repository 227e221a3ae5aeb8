import pytest

from exporter.config.settings import SettingsError
from exporter.web.access.hosts import AllowedHosts

_LIST = AllowedHosts.parse(["exporter.example, Other.Example:9588", "::1", "[fe80::1]:9588", "192.0.2.7"])


@pytest.mark.parametrize(
    "host",
    [
        *("exporter.example", "EXPORTER.example", "exporter.example.", "exporter.example:1", "exporter.example.:443"),
        *("other.example:9588", "OTHER.EXAMPLE.:9588", "[::1]", "[0:0::1]:80", "[FE80:0::1]:9588", "192.0.2.7:9588"),
    ],
)
def test_a_listed_host_is_allowed_in_every_spelling(host: str) -> None:
    assert _LIST.allow(host)


@pytest.mark.parametrize(
    "host",
    [
        *(None, "", "evil.example", "exporter.example.evil.example", "evilexporter.example", "other.example"),
        *("other.example:80", "[fe80::1]", "::1", "192.0.2.8", "exporter.example@evil.example", "exporter.example, x"),
        *("exporter.example:99999", "exporter.example:80:80", "exporter.example..", " ", "[::1", "exporter.example\\"),
    ],
)
def test_every_other_host_is_refused(host: str | None) -> None:
    assert not _LIST.allow(host)


@pytest.mark.parametrize("host", [None, "", "evil.example", "\0"])
def test_without_a_list_every_host_is_allowed(host: str | None) -> None:
    assert AllowedHosts.parse([]).allow(host)
    assert AllowedHosts.parse(["", " , "]).allow(host)


@pytest.mark.parametrize("value", ["http://x", "x/y", "*.example", "x:0x1", "a b", "[::1"])
def test_an_entry_that_could_match_nothing_is_an_error(value: str) -> None:
    with pytest.raises(SettingsError, match=r"--web\.allowed-hosts"):
        AllowedHosts.parse([value])
