"""Which process the kernel ends first when memory runs out: a worker, then the scanning process, then the serving."""

from pathlib import Path

from exporter.core.oom_score import SCANNING, WORKER
from exporter.core.process_name import SCANNING as NAME
from tests.support.exporter import exporter
from tests.support.roots import graph_root
from tests.support.waiting import eventually


def _score(process: int) -> int:
    return int(Path(f"/proc/{process}/oom_score_adj").read_text())


def _said(process: int) -> str:
    """Its name and its command line."""
    home = Path(f"/proc/{process}")
    return (home / "comm").read_text() + (home / "cmdline").read_bytes().replace(b"\0", b" ").decode()


def _below(process: int) -> list[int]:
    try:
        tasks = [*Path(f"/proc/{process}/task").iterdir()]
        children = [int(one) for task in tasks for one in (task / "children").read_text().split()]
    except OSError:  # a worker with nothing to do ends
        return []
    return [*children, *(further for child in children for further in _below(child))]


def test_a_worker_goes_before_the_scanning_process_and_that_before_the_serving_one(tmp_path: Path) -> None:
    built = graph_root(tmp_path).image("base", files={"f": 10}, tag="base:1")
    with exporter(built.path) as running:
        running.wait_for("up", 1)
        own = _score(running.process.pid)
        scores: dict[str, int] = {}
        expected = {NAME: min(1000, own + SCANNING), "worker_main": WORKER}

        def all_there() -> bool:
            for process in _below(running.process.pid):
                try:
                    said, score = _said(process), _score(process)
                except OSError:
                    continue  # a worker with nothing to do ends
                scores.update({name: score for name in (NAME, "worker_main") if name in said})
            return scores == expected  # a worker has that of its parent for a moment

        eventually(all_there, otherwise=lambda: str(scores))
