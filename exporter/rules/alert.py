"""One alert, and how its expression is laid out for people."""

from dataclasses import dataclass
from typing import Literal

from exporter.expose.metrics import catalogue as c
from exporter.rules.thresholds import Settings

Severity = Literal["info", "warning", "critical"]

CONTAINER = "job, instance, driver, container_id"
HOST = "job, instance"


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert rule. `lasting` is seconds; `summary` and `description` are Prometheus templates."""

    name: str
    severity: Severity
    lasting: float
    expression: str
    summary: str
    description: str

    def as_rule(self, settings: Settings) -> dict[str, object]:
        """Give the object that goes into the rules file."""
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
    """Selects series of the job: `select(metric, 'use="orphaned"')`."""

    settings: Settings

    def __call__(self, metric: c.Metric | str, *matchers: str) -> str:
        """Select a family of the catalogue, or any other by its name, with further matchers."""
        name = metric if isinstance(metric, str) else metric.name
        job = f'job="{self.settings.job}"'
        return f"{name}{{{', '.join((job, *matchers))}}}"

    def window(self, seconds: float) -> str:
        """A range to look back over."""
        return f"[{self.settings.window(seconds)}]"

    def offset(self, seconds: float) -> str:
        """A look at what was so long ago."""
        return f"offset {self.settings.window(seconds)}"


def named(expression: str, select: Select) -> str:
    """Give the containers of an expression their names and images."""
    info = select(c.CONTAINER_INFO)
    return f"(\n{indented(expression)}\n)\n* on ({CONTAINER}) group_left (name, image) {info}"


def indented(expression: str) -> str:
    """Shift all lines of an expression."""
    return "\n".join("  " + line for line in expression.split("\n"))
