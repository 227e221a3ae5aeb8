"""The recording and alert rules for Prometheus, written for the user's job name and thresholds."""

from exporter.rules.document import Form, rules
from exporter.rules.thresholds import Settings, Thresholds, described

__all__ = ["Form", "Settings", "Thresholds", "described", "rules"]
