"""Which version of the exporter this is, from the metadata of the installed distribution."""

from importlib.metadata import PackageNotFoundError, version

try:
    VERSION = version("docker-storage-exporter")
except PackageNotFoundError:  # run from a source tree that nobody installed
    VERSION = "0.0.0"
