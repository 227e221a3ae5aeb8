"""Commands of runbooks that `tests/system/test_runbooks.py` does not run, each with the reason."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Another test runs it: `path::name`."""

    test: str

    @property
    def file(self) -> str:
        """The file of the test, below the top."""
        return self.test.partition("::")[0]


@dataclass(frozen=True, slots=True)
class Foreign:
    """It asks something that no machine of the tests has. `package` is the package of Debian that has the program."""

    package: str
    what: str


@dataclass(frozen=True, slots=True)
class OfTheKernel:
    """It would change what all programs of the machine share."""

    what: str


@dataclass(frozen=True, slots=True)
class NoAdvice:
    """Nobody is told to type it: the sentence says what it did, or what to do beforehand."""

    what: str


_BOOTED = Elsewhere("tests/system/test_booted.py::test_the_commands_of_runbooks_ask_the_service")
_CLOCK = OfTheKernel("the clock")

NOT_RUN: dict[str, Elsewhere | Foreign | OfTheKernel | NoAdvice] = {
    "systemctl status docker-storage-exporter": _BOOTED,
    "systemctl show -P MemoryCurrent -P TasksCurrent docker-storage-exporter": _BOOTED,
    "ls /proc/$(systemctl show -P MainPID docker-storage-exporter)/fd | wc -l": _BOOTED,
    "systemctl list-timers": _BOOTED,
    "journalctl -k": _BOOTED,
    "promtool test rules": Elsewhere(
        "tests/system/test_rules.py::test_every_alert_fires_when_it_must_and_not_when_it_nearly_must"
    ),
    "timedatectl": _CLOCK,
    "chronyc makestep": _CLOCK,
    "chronyc tracking": _CLOCK,
    "ntpq -p": _CLOCK,
    "systemctl enable --now chrony": _CLOCK,
    "kubectl -n monitoring get pods -o wide -l app=docker-storage-exporter": Foreign("kubectl", "a cluster"),
    "crictl rmi --prune": Foreign("cri-tools", "a containerd that pods of Kubernetes run in"),
    "smartctl -H DEVICE": Foreign("smartmontools", "a disk of its own"),
    "xfs_repair": Foreign("xfsprogs", "a disk with XFS"),
    "dmsetup status": Foreign("dmsetup", "a thin pool"),
    "zfs list -o space": Foreign("zfsutils-linux", "a pool of ZFS"),
    "ulimit -v": NoAdvice("a limit that may be used up"),
    "rm -rf": NoAdvice("a cause of missing layers"),
    "kill -9": NoAdvice("a cause of orphaned layers"),
    "docker run --rm": NoAdvice("how jobs are to be run"),
}
