"""The flags of `run` beside those of node_exporter and the exporter toolkit, as their documentation lists them."""

import re

import click
import pytest

from exporter.cli.main import main
from exporter.cli.param_types import DurationType, RegexType, ShareType

_RUN = main.commands["run"]
_FLAGS = {one.opts[0]: one for one in _RUN.params if isinstance(one, click.Option)}

#: Flags of node_exporter 1.8 that are the same here: with values that both take.
_SAME: dict[str, tuple[str, ...]] = {
    "--web.listen-address": (":9100", "127.0.0.1:9100", "[::1]:9100"),
    "--web.config.file": ("web.yml",),
    "--web.telemetry-path": ("/metrics", "/m"),
    "--web.max-requests": ("0", "40"),
    "--web.disable-exporter-metrics": (),
    "--log.level": ("debug", "info", "warn", "error"),
    "--log.format": ("logfmt", "json"),
    "--path.rootfs": ("/host",),
}
#: Those that are not here, and why.
_MISSING = {
    "--web.systemd-socket": "the unit starts the exporter at boot; the address is one flag",
    "--collector.disable-defaults": "there are five collectors, and each has --no-collector.NAME",
    "--path.procfs": "processes of the host are seen with --pid host, in /proc itself",
    "--path.sysfs": "nothing of it is read",
    "--path.udev.data": "nothing of it is read",
    "--runtime.gomaxprocs": "of Go; --scan.workers is how many cores scans use",
}
#: Words that stand alone: what is read, and switches of the exporter as a whole.
_ALONE = {"--root", "--watch", "--sandbox"}
_COLLECTORS = ("build-cache", "containers", "directories", "images", "volumes")


@pytest.mark.parametrize("flag", _SAME)
def test_a_flag_of_node_exporter_is_the_same_here(flag: str) -> None:
    option = _FLAGS[flag]
    context = click.Context(_RUN)
    for value in _SAME[flag]:
        assert option.type.convert(value, option, context) is not None
    assert option.is_flag == (not _SAME[flag])


def test_what_is_missing_is_known() -> None:
    assert not _MISSING.keys() & _FLAGS.keys()


@pytest.mark.parametrize("name", _COLLECTORS)
def test_each_collector_has_a_switch_that_is_on(name: str) -> None:
    option = _FLAGS[f"--collector.{name}"]
    assert option.secondary_opts == [f"--no-collector.{name}"]
    assert option.get_default(click.Context(_RUN)) is not False


def test_each_flag_has_the_form_of_the_others() -> None:
    for flag, one in _FLAGS.items():
        assert re.fullmatch(r"--[a-z]+(-[a-z]+)*(\.[a-z]+(-[a-z]+)*)+", flag) or flag in _ALONE, flag
        assert isinstance(one.type, RegexType) or not flag.endswith((".include", ".exclude")), flag


def test_durations_and_shares_are_written_as_people_do() -> None:
    durations = [one for one in _FLAGS.values() if isinstance(one.type, DurationType)]
    assert {"--scan.interval", "--watch.look-interval", "--layers.orphaned-after"} <= {one.opts[0] for one in durations}
    for one in durations:
        assert [one.type.convert(text, one, None) for text in ("90", "1m30s", "2h")] == [90, 90, 7200]
    shares = [one for one in _FLAGS.values() if isinstance(one.type, ShareType)]
    assert shares
    for one in shares:
        assert one.type.convert("5%", one, None) == one.type.convert("0.05", one, None) == 0.05


def test_each_flag_says_what_it_is_for_and_what_it_takes() -> None:
    for flag, one in _FLAGS.items():
        written, _ = one.get_help_record(click.Context(_RUN)) or ("", "")
        metavar = written.rpartition(" ")[2]
        assert one.help, flag
        assert one.is_flag or metavar.isupper() or "|" in metavar, flag
