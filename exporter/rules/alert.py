"""One alert rule, and helpers that write PromQL expressions over several lines."""

from dataclasses import dataclass
from typing import Literal

from exporter.expose.metrics import catalogue as c
from exporter.rules.thresholds import Settings

Severity = Literal["info", "warning", "critical"]

CONTAINER = "job, instance, driver, namespace, container_id"
HOST = "job, instance"


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert rule. `lasting` is `for` in seconds; `summary` and `description` are Prometheus templates."""

    name: str
    severity: Severity
    lasting: float
    expression: str
    summary: str
    description: str

    def as_rule(self, settings: Settings) -> dict[str, object]:
        """The rule as an object of the rules file."""
        return {
            "alert": self.name,
            "expr": self.expression,
            "for": settings.lasting(self.lasting),
            "labels": {"severity": self.severity},
            "annotations": {
                "summary": self.summary,
                "description": self.description,
                "runbook_url": f"{settings.runbooks}{self.name}.md",
            },
        }


@dataclass(frozen=True, slots=True)
class Select:
    """Writes selectors of the job's series: `select(metric, 'use="orphaned"')`."""

    settings: Settings

    def __call__(self, metric: c.Metric | str, *matchers: str) -> str:
        """The selector of a metric of the catalogue, or of any other by its name, with further matchers."""
        name = metric if isinstance(metric, str) else metric.name
        job = f'job="{self.settings.job}"'
        return f"{name}{{{', '.join((job, *matchers))}}}"

    def window(self, seconds: float) -> str:
        """A range selector such as `[1h]`."""
        return f"[{self.settings.window(seconds)}]"

    def offset(self, seconds: float) -> str:
        """An offset modifier such as `offset 1h`."""
        return f"offset {self.settings.window(seconds)}"


def named(expression: str, select: Select) -> str:
    """Add the labels `name`, `image` and `pod` to an expression on containers."""
    info = select(c.CONTAINER_INFO)
    return f"(\n{indented(expression)}\n)\n* on ({CONTAINER}) group_left (name, image, pod) {info}"


def indented(expression: str) -> str:
    """Indent all lines of an expression by two spaces."""
    return "\n".join("  " + line for line in expression.split("\n"))
