"""The example data root: an administrator's host with Docker 1.5 and aufs, written from scratch."""

from exporter.demo.host import build_demo

__all__ = ["build_demo"]
