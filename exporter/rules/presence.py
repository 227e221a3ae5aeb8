"""Alerts on what is not there: the exporter, its figures, and a clock that tells how old they are."""

import itertools

from exporter.expose.metrics import catalogue as c
from exporter.rules.alert import Alert, Record, Select, enclosed, indented, joined
from exporter.rules.settings import Settings, duration
from exporter.rules.thresholds import number

#: By how much the clock of a host is ahead of that of Prometheus.
CLOCK = "instance:docker_storage_clock_ahead_seconds:last"
#: By how much the clock is wrong, where it is.
CLOCK_WRONG = "instance:docker_storage_clock_wrong_seconds:last"

_AT = "{{ $labels.instance }}"
_HOUR = 3600
_DAY = 24 * _HOUR
#: Where figures come by node_exporter: the hosts that have had some within a day, and whether node_exporter answers.
#: With `once --label root=...` these are the roots.
TARGET = "instance:docker_storage_target_up:last"
#: So many scrapes lie in the bridged time, or more: two that are lost one after the other then change nothing.
_BRIDGED = 3
#: A figure of an exporter that does not tell the time may be so many seconds ahead of the time at which it is served.
_TOLERANCE = 300


def presence_records(settings: Settings) -> list[Record]:
    """The series that tell of clocks."""
    select = Select(settings)
    clock = select(c.TIME)
    own = [] if settings.textfile else [Record(CLOCK, f"max by ({select.host}) ({clock} - timestamp({clock}))")]
    target = [Record(TARGET, _target(select))] if settings.textfile else []
    return [*own, *target, Record(CLOCK_WRONG, _clock_wrong(select))]


def presence_alerts(settings: Settings) -> list[Alert]:
    """Make the alerts: no exporters, an exporter that is down, no figures, a wrong clock."""
    select = Select(settings)
    return [
        Alert(
            "DockerStorageExporterDown",
            "warning",
            max(300, settings.bridge / 2),
            _down(select),
            f"The exporter on {_AT} does not answer",
            f"Prometheus cannot scrape the docker-storage-exporter on {_AT}, or only now and then: there are no figures"
            " of this host's disk.",
        ),
        Alert(
            "DockerStorageNoExporters",
            "critical",
            300,
            _none(select),
            "No host is scraped for {{ $labels.job }}",
            "Prometheus knows no target of the job {{ $labels.job }}: its discovery finds no hosts any more, or these"
            " rules have the name of another job. No other alert of docker-storage-exporter can fire.",
        ),
        Alert(
            "DockerStorageHostLost",
            "info",
            900,
            _lost(select),
            f"{_AT} is not scraped any more",
            f"Prometheus has no target {_AT} of the job {{{{ $labels.job }}}} any more: the host was removed, or the"
            " discovery does not find it. Nothing else tells of its disk.",
        ),
        Alert(
            "DockerStorageFiguresMissing",
            "warning",
            900,
            _without_figures(select),
            f"The exporter on {_AT} has no figures of the disk",
            f"The exporter on {_AT} answers, but serves no space of any filesystem: no alert on its disk can fire.",
        ),
        Alert(
            "DockerStorageScrapedSeldom",
            "info",
            2 * _HOUR,
            _seldom(select),
            "The exporters of {{ $labels.job }} are scraped less often than the rules allow for",
            "The exporters of the job {{ $labels.job }} are scraped every {{ $value | humanizeDuration }}, and these"
            f" rules bridge {duration(settings.bridge)}: where a scrape is lost, alerts end and begin again. Write the"
            f" rules with --bridge, at least {_BRIDGED + 1} times the time between two scrapes.",
        ),
        Alert(
            "DockerStorageClockWrong",
            "warning",
            max(900, 1.5 * settings.bridge),  # what was wrong in one scrape has ended by then
            f"last_over_time({select(CLOCK_WRONG)}{select.bridge})",
            f"The clock of {_AT} is wrong",
            f"The clock of {_AT} differs by {{{{ $value | humanizeDuration }}}} from that of Prometheus: ages of its"
            " figures, and times in its logs, are wrong by that.",
        ),
    ]


def _seldom(select: Select) -> str:
    """The seconds between two scrapes, if too few of them are in the bridged time. New targets do not count."""
    settings = select.settings
    hour = select.window(_HOUR)
    scrapes = f"count_over_time({select('up')}{hour}) and {select('up')} {select.offset(_HOUR)}"
    by = ", ".join((*settings.labels, "job"))
    seconds = f"{number(settings.length(_HOUR))} / avg by ({by}) ({scrapes})"
    return f"{seconds} > {number(settings.length(settings.bridge) / _BRIDGED)}"


def _labels_of_targets(settings: Settings) -> list[tuple[str, list[str]]]:
    """The labels by which figures and their target are the same host, for each way of having them; and who lacks which.

    A label such as `cluster` is on `up`, too; one that `once --label` adds, such as `root`, is on the figures only.
    Which of the two a label is, only Prometheus knows. The matchers select what lacks the other labels.
    """
    every = settings.labels
    ways = []
    for size in range(len(every), -1, -1):
        for chosen in itertools.combinations(every, size):
            lacking = [f'{one}=""' for one in every if one not in chosen]
            ways.append((", ".join((*chosen, "job", "instance")), lacking))
    return ways


def _by_target(select: Select, figures: str) -> str:
    """The hosts that have these figures, with the labels that their target may have."""
    if not select.settings.labels:
        return f"  {figures}"
    ways = (f"group by ({labels}) ({figures})" for labels, _ in _labels_of_targets(select.settings))
    return enclosed(joined("or", *ways))


def _target(select: Select) -> str:
    """Whether the target of each host has answered of late, of those that have had figures within a day."""
    figures = f"group by ({select.host}) (last_over_time({select(c.UP)}{select.window(_DAY)}))"

    def way(labels: str, lacking: list[str]) -> str:
        answers = f"max by ({labels}) (max_over_time({select('up', *lacking)}{select.bridge}))"
        return f"{figures}\n* on ({labels}) group_left ()\n  {answers}"

    return joined("or", *(way(*one) for one in _labels_of_targets(select.settings)))


def _down(select: Select) -> str:
    """Down, or up and down: an alert on the present state alone never fires for what is down three of six minutes.

    One outage is two changes. What has mostly answered of late is up again. Where the figures come by
    node_exporter, only hosts that have had some count, and all roots of one are one alert.
    """
    hour = select.window(_HOUR)
    up = select("up")
    of_these = ""
    if select.settings.textfile:
        of_these = f"\nand on ({select.host})\n{_by_target(select, select(TARGET))}"
    share = f"avg_over_time({up}{hour}) < 0.75 and avg_over_time({up}{select.bridge}) < 0.65"
    flapping = f"{share} and changes({up}{hour}) > 3"
    now = f"last_over_time({up}{select.bridge}) == 0"
    return enclosed(f"{now}\nor\n  ({flapping})") + of_these


def _none(select: Select) -> str:
    """No target at all; and none of one fleet of several, which only their labels tell of."""
    none = f"absent_over_time({select('up')}{select.bridge})"
    if not select.settings.labels:
        return none
    by = ", ".join((*select.settings.labels, "job"))
    past = " or ".join(f"last_over_time({select('up')}{select.bridge} {select.offset(one)})" for one in (_HOUR, _DAY))
    return f"{none}\nor\n  (group by ({by}) ({past}) unless group by ({by}) ({select.last('up')}))"


def _lost(select: Select) -> str:
    """No target for half a day at most, and one before. Hosts of some hours come and go by intent."""
    textfile = select.settings.textfile
    before, long_before = (
        f"group by ({select.host}) (last_over_time({select(c.UP if textfile else 'up')}{select.bridge}"
        f" {select.offset(ago)}))"
        for ago in (_DAY / 2, _DAY)
    )
    now = select(TARGET) if textfile else f"group by ({select.host}) ({select.last('up')})"
    return f"{before}\nand\n  {long_before}\nunless\n  {now}"


def _without_figures(select: Select) -> str:
    """Up without filesystems. One that says that it cannot read the root has an alert of its own."""
    space, unreadable = select.last(c.FILESYSTEM_AVAIL), f"{select.last(c.UP)} == 0"
    host = f"on ({select.host})"
    if select.settings.textfile:
        return f"{select(TARGET)} == 1\nunless {host}\n  {space}\nunless {host}\n  {unreadable}"
    up = f"max_over_time({select('up')}{select.bridge}) == 1"
    return joined(f"unless {host}", up, _by_target(select, space), _by_target(select, unreadable))


def _clock_wrong(select: Select) -> str:
    """What the clock says; where an exporter does not tell it: figures of the future, or old ones that change."""
    limits, settings = select.settings.thresholds, select.settings
    host, age = select.host, max(limits.scan_age, 3 * settings.textfile)
    success = f"{select(c.SCAN_LAST_SUCCESS)}{select.window(age)}"
    ahead = f"max by ({host}) ({select.last(c.SNAPSHOT_TIMESTAMP)}) - time() > {max(_TOLERANCE, limits.clock):g}"
    old = f"time() - max by ({host}) ({select.last(c.SCAN_LAST_SUCCESS)}) > {number(age)}"
    behind = f"{old}\nand\n  sum by ({host}) (changes({success})) > 0"
    inferred = joined("or", ahead, enclosed(behind))
    if settings.textfile:
        return inferred
    told = f"last_over_time({select(CLOCK)}{select.bridge})"
    unknown = f"{enclosed(inferred)}\nunless\n  {told}"
    return f"abs({told}) > {number(limits.clock)}\nor\n{enclosed(indented(unknown).strip())}"
