import json
from pathlib import Path

import bcrypt

from exporter.version import VERSION
from tests.roots import graph_root
from tests.test_service import exporter


def test_one_line_at_the_start_has_the_effective_configuration(tmp_path: Path) -> None:
    hashed = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()
    web, settings = tmp_path / "web.yml", tmp_path / "settings.yml"
    web.write_text(f"basic_auth_users:\n  prom: {hashed}\n")
    settings.write_text(f"web.config.file: {web}\nscan.duty-cycle: 0.25\n")
    root = graph_root(tmp_path / "root").path
    with exporter(root, "--log.format", "json", "--config.file", str(settings)) as running:
        assert running.get()[0] == 401
        running.stop()
        assert running.process.stderr is not None
        lines = running.lines + running.process.stderr.readlines()
    events = [json.loads(line) for line in lines]
    (start,) = [event for event in events if event["event"] == "serving"]
    expected = {"version": VERSION, "root": str(root), "duty_cycle": 0.25, "scan_interval": 1.0, "log_format": "json"}
    assert expected.items() <= start.items()
    assert (start["web_config_file"], start["tls"], start["basic_auth"]) == (str(web), False, True)
    assert hashed not in "".join(lines)


def test_the_level_decides_what_is_logged(tmp_path: Path) -> None:
    with exporter(graph_root(tmp_path).path, "--log.level", "debug") as running:
        running.log_line("event=scan.done")
        running.stop()
