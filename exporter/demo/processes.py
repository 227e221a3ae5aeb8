"""Processes for the containers of an example root that are written down as running: without one they would be stale.

Each has a parent whose command line names the container, as containerd-shim's does.
"""

import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path


@contextmanager
def running(root: Path) -> Iterator[None]:
    """Let what is written down as running do so, from now until the end of a `with` block."""
    with ExitStack() as processes:
        for path in sorted(root.glob("containers/*/config*.json")):
            about = json.loads(path.read_text())
            if about["State"]["Running"]:
                about["State"]["Pid"] = processes.enter_context(_process_of(path.parent.name))
                about["State"]["StartedAt"] = datetime.now(UTC).isoformat().replace("+00:00", "Z")
                path.write_text(json.dumps(about))
        yield


@contextmanager
def _process_of(container: str) -> Iterator[int]:
    """Start a process that ends when its input does: also when this one is killed."""
    command = ["sh", "-c", f"sh -c 'echo $$; exec cat'; : {container}"]  # without the rest, sh would become the other
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as started:  # noqa: S603 - no input
        assert started.stdout is not None
        yield int(started.stdout.readline())
