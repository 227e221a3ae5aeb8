"""Web configurations whatever is in them: tests/process/web has the verdicts, which need certificates."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.config.settings import SettingsError
from exporter.web.access.config import load


def test_what_is_merged_counts_less_than_what_stands_there(tmp_path: Path) -> None:
    file = tmp_path / "web.yml"
    anchors = "&b {X-XSS-Protection: 2, Content-Security-Policy: b}", "&a {Content-Security-Policy: a}"
    file.write_text("http_server_config: {{headers: {{<<: [{}, {}], X-XSS-Protection: 1}}}}\n".format(*anchors))
    assert dict(load(str(file)).headers) == {"x-xss-protection": "1", "content-security-policy": "b"}


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_a_configuration_or_a_clear_error(tmp_path_factory: pytest.TempPathFactory, raw: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "fuzz.yml"
    file.write_bytes(raw)
    try:
        load(str(file))
    except SettingsError as error:
        assert str(error).startswith(str(file))  # noqa: PT017 - both outcomes are right


def test_deep_nesting_and_aliases_are_errors(tmp_path: Path) -> None:
    file = tmp_path / "web.yml"
    file.write_text("[" * 100_000)
    with pytest.raises(SettingsError, match="nested"):
        load(str(file))
    file.write_text("a: &a [*a]\n")
    with pytest.raises(SettingsError, match="unknown key"):
        load(str(file))
    file.write_bytes(b"#" * (2 << 20))
    with pytest.raises(SettingsError, match="larger"):
        load(str(file))
