"""A process that starts without descriptors is not limited to less than it needs."""

import subprocess
import sys

import pytest

from exporter.core import landlock

_PROGRAM = """
import errno, os, resource, sys
from exporter.core.landlock import READ, Limits, restrict
from exporter.core.privileges import no_new_privileges
no_new_privileges()
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
free = os.dup(0)
os.close(free)
resource.setrlimit(resource.RLIMIT_NOFILE, (free + int(sys.argv[1]), hard))
try:
    restrict(Limits((("/proc", READ), (sys.prefix, READ))))
except OSError as error:
    print(errno.errorcode[error.errno])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
print(len(os.listdir("/proc/self/fd")) > 1)
"""


@pytest.mark.skipif(not landlock.version(), reason="this kernel has no landlock")
@pytest.mark.parametrize(("spare", "expected"), [("0", "EMFILE\nTrue\n"), ("1", "EMFILE\nTrue\n"), ("2", "True\n")])
def test_a_rule_that_cannot_be_made_for_want_of_descriptors_is_an_error(spare: str, expected: str) -> None:
    done = subprocess.run([sys.executable, "-c", _PROGRAM, spare], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == (expected, "")
