"""The recording and alert rules for Prometheus, written for the user's job name and thresholds."""

from exporter.rules.document import Form, rules
from exporter.rules.settings import Settings
from exporter.rules.thresholds import Thresholds, described, seconds

__all__ = ["Form", "Settings", "Thresholds", "described", "rules", "seconds"]
