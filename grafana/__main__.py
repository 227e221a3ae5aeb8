"""Writes the dashboards: `python -m grafana`."""

from pathlib import Path

from grafana.fleet import fleet
from grafana.host import host
from grafana.parts import content_of, text_of
from grafana.version2 import resource

FILES = {"docker-storage.json": host, "docker-storage-fleet.json": fleet}


def files() -> dict[str, str]:
    """The text of each file: each dashboard in the older schema, and for Grafana 12 and later as `.v2.json`."""
    made = {}
    for name, make in FILES.items():
        content = content_of(make())
        made[name] = text_of(content)
        made[name.replace(".json", ".v2.json")] = text_of(resource(content))
    return made


def main() -> None:
    """Write every dashboard beside this file."""
    for name, text in files().items():
        Path(__file__).with_name(name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
