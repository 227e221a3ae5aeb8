"""A /proc that tests write: whether containers run is judged by it."""

from pathlib import Path

#: When the host of this /proc was started, Unix seconds.
BOOT = 1_700_000_000


class FakeProc:
    """A /proc with process 1, of the first pid namespace (Linux include/linux/proc_ns.h) unless told otherwise."""

    def __init__(self, path: Path, *, first: bool = True) -> None:
        self.path = path
        self.process(1, "/init.scope")
        (path / "self/ns").mkdir(parents=True)
        (path / "self/ns/pid").symlink_to("pid:[4026531836]" if first else "pid:[4026532000]")
        (path / "stat").write_text(f"cpu 1\nbtime {BOOT}\n")

    def process(self, pid: int, cgroup: str, *, parent: int = 1, state: str = "S", command: str = "") -> None:
        """Add a process; its cgroup names the container that it is of."""
        home = self.path / str(pid)
        home.mkdir(parents=True)
        (home / "cgroup").write_text(f"0::{cgroup}\n")
        (home / "stat").write_text(f"{pid} (odd) name) {state} {parent} 1 1")
        (home / "cmdline").write_text(command)

    def container(self, pid: int, container: str) -> None:
        """Add a process of a container."""
        self.process(pid, f"/system.slice/docker-{container}.scope")
