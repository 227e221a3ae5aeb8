"""The example data root: an administrator's host with Docker 1.5 and aufs, written from scratch and kept busy."""

from exporter.demo.busy import Busy, keep_busy
from exporter.demo.host import build_demo

__all__ = ["Busy", "build_demo", "keep_busy"]
