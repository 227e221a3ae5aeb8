"""Processes for the running containers of an example root: without a process their state would be `stale`.

Each process has a parent whose command line names the container, as containerd-shim has.
"""

import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path


@contextmanager
def running(root: Path) -> Iterator[None]:
    """Run one process for each container that the root has as running, until the end of a `with` block."""
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
    """Start a process that ends when its input is closed, as it is when this process is killed."""
    command = ["sh", "-c", f"sh -c 'echo $$; exec cat'; : {container}"]  # without the rest, sh would become the other
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as started:  # noqa: S603 - no input
        assert started.stdout is not None
        yield int(started.stdout.readline())
