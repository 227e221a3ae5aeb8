import pytest

from exporter.core.model import Progress, Snapshot
from exporter.scan import scan_log
from exporter.scan.scan_log import ScanLog


class _Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


class _Told:
    def __init__(self) -> None:
        self.lines: list[dict[str, object]] = []

    def info(self, event: str, **fields: object) -> None:
        self.lines.append({"event": event, **fields})


def test_the_estimate_of_a_first_scan_is_not_told_once_it_is_refuted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nine small trees took a minute; the tenth takes longer than all of them."""
    clock = _Clock()
    monkeypatch.setattr(scan_log, "time", clock)
    monkeypatch.setattr(scan_log, "on_terminal", lambda: False)
    told = _Told()
    monkeypatch.setattr(scan_log, "_log", told)
    logged = ScanLog()
    for seconds, done in ((60, 9), (63, 9), (66, 9), (72, 9), (600, 9)):
        clock.now = 100.0 + seconds
        logged.log_snapshot(Snapshot("/r", 0, progress=Progress(10, done, 1000)), changed=False, news=False)
    assert [(line["seconds"], line["seconds_left"]) for line in told.lines] == [
        (60, 7),
        (66, 7),
        (72, None),
        (600, None),
    ]
