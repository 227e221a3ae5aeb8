"""Prometheus exporter for a Docker host's data root, read from the disk and never from the daemon."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("docker-storage-exporter")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+unknown"

__all__ = ["__version__"]
