"""One alert, and how its expression is laid out for people."""

from dataclasses import dataclass
from typing import Literal

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


def selector(metric: str, settings: Settings, *matchers: str) -> str:
    """Select a metric of the job, with further matchers such as `use="orphaned"`."""
    job = f'job="{settings.job}"'
    return f"{metric}{{{', '.join((job, *matchers))}}}"


def joined(expression: str, info: str, on: str, names: str) -> str:
    """Give each series of an expression the labels `names` of its object's info metric."""
    return f"(\n{indented(expression)}\n)\n* on ({on}) group_left ({names}) {info}"


def indented(expression: str) -> str:
    """Shift all lines of an expression."""
    return "\n".join("  " + line for line in expression.split("\n"))
