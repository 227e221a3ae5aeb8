"""Writes the dashboards: `python -m grafana`."""

from pathlib import Path

from grafana.fleet import fleet
from grafana.host import host
from grafana.parts import encoded

FILES = {"docker-storage.json": host, "docker-storage-fleet.json": fleet}


def main() -> None:
    """Write every dashboard beside this file."""
    for name, make in FILES.items():
        Path(__file__).with_name(name).write_text(encoded(make()), encoding="utf-8")


if __name__ == "__main__":
    main()
