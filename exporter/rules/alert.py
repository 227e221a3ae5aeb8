"""One alert rule, one group of rules, and helpers that write PromQL expressions over several lines."""

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from exporter.expose.metrics import catalogue as c
from exporter.rules.settings import Settings

Severity = Literal["info", "warning", "critical"]


class Alert(Struct, frozen=True):
    """An alert rule. `lasting` is `for` in seconds; `summary` and `description` are Prometheus templates."""

    name: str
    severity: Severity
    lasting: float
    expression: str
    summary: str
    description: str

    def as_rule(self, settings: Settings) -> dict[str, object]:
        """The rule as an object of the rules file."""
        annotations = {"summary": self.summary, "description": self.description}
        if page := settings.runbook(self.name):
            annotations["runbook_url"] = page
        return {
            "alert": self.name,
            "expr": self.expression,
            "for": settings.lasting(self.lasting),
            "labels": {"severity": self.severity},
            "annotations": annotations,
        }


class Record(Struct, frozen=True):
    """A recording rule."""

    name: str
    expression: str

    def as_rule(self, _: Settings) -> dict[str, object]:
        """The rule as an object of the rules file."""
        return {"record": self.name, "expr": self.expression}


class Group(Struct, frozen=True):
    """Rules that are evaluated one after the other every `interval` seconds: each sees what those before it record."""

    name: str
    interval: float
    rules: Sequence[Alert | Record]

    def as_group(self, settings: Settings) -> dict[str, object]:
        """The group as an object of the rules file. Where durations are divided, Prometheus' own interval holds."""
        interval = {"interval": settings.window(self.interval)} if settings.speed == 1 else {}
        return {"name": self.name, **interval, "rules": [one.as_rule(settings) for one in self.rules]}


class Select(Struct, frozen=True):
    """Writes selectors of the job's series: `select(metric, 'use="orphaned"')`."""

    settings: Settings

    def __call__(self, metric: c.Metric | str, *matchers: str) -> str:
        """The selector of a metric of the catalogue, or of any other by its name, with further matchers."""
        name = metric if isinstance(metric, str) else metric.name
        job = f'job="{self.settings.job}"'
        return f"{name}{{{', '.join((job, *matchers))}}}"

    def last(self, metric: c.Metric | str, *matchers: str) -> str:
        """The last value within the bridged time: a scrape that is lost changes nothing.

        A stale marker, which a failed scrape leaves, is no value.
        """
        return f"last_over_time({self(metric, *matchers)}{self.bridge})"

    def held(self, record: str, value: str) -> str:
        """An expression that `record` records, and its last value where the first scan has not come to it yet.

        What is not measured yet is not gone: an alert on it neither ends nor begins anew because an exporter starts.
        The first scrape after the scan may be a lost one. A record that has only what is over a threshold compares the
        whole: what is measured, and is not over it, is not what it was before.
        """
        scanned = f"min_over_time({self(c.INITIAL_TREES_DONE)}{self.bridge}) < {self.last(c.INITIAL_TREES)}"
        return f"{value}\nor\n  last_over_time({self(record)}{self.bridge}) and on ({self.host}) ({scanned})"

    @property
    def host(self) -> str:
        """The labels that tell hosts apart."""
        return self.settings.host

    @property
    def container(self) -> str:
        """The labels that tell containers apart."""
        return f"{self.host}, driver, namespace, container_id"

    @property
    def bridge(self) -> str:
        """The range in which a last value is looked for."""
        return self.window(self.settings.bridge)

    def window(self, seconds: float) -> str:
        """A range selector such as `[1h]`."""
        return f"[{self.settings.window(seconds)}]"

    def trend(self, seconds: float) -> str:
        """A range selector in which there are enough values for a trend."""
        return self.window(self.settings.trend(seconds))

    def offset(self, seconds: float) -> str:
        """An offset modifier such as `offset 1h`."""
        return f"offset {self.settings.window(seconds)}"


def indented(expression: str) -> str:
    """Indent all lines of an expression by two spaces."""
    return "\n".join("  " + line for line in expression.split("\n"))


def enclosed(expression: str) -> str:
    """An expression in parentheses on lines of their own."""
    return f"(\n{indented(expression)}\n)"


def joined(operator: str, *expressions: str) -> str:
    """Expressions with an operator between them on a line of its own."""
    return f"\n{operator}\n".join(expressions)
