"""Work in a copy of the process. A test has threads: a program of its own makes the copy."""

import subprocess
import sys

from tests.support.waiting import DEADLINE

_HEAD = """
import os, sys, time
from exporter.core.copy_of_process import CopyFailedError, in_copy
"""
#: Says that the copy has ended, and was waited for.
_TAIL = """
try:
    os.waitpid(-1, 0)
except ChildProcessError:
    print("nothing is left")
"""


def _run(program: str) -> str:
    """What a program prints that ends well and says nothing on standard error."""
    done = subprocess.run(
        [sys.executable, "-c", _HEAD + program], capture_output=True, text=True, check=True, timeout=DEADLINE
    )
    assert done.stderr == ""
    return done.stdout


def test_it_is_another_process() -> None:
    program = """
with in_copy(lambda: str(os.getpid()).encode()) as result:
    print(int(result()) == os.getpid(), os.listdir("/proc/self/task") == [str(os.getpid())])
"""
    assert _run(program) == "False True\n"


def test_a_result_may_be_larger_than_a_pipe() -> None:
    program = """
with in_copy(lambda: bytes(range(256)) * 20_000) as result:
    print(result() == bytes(range(256)) * 20_000)
"""
    assert _run(program) == "True\n"


def _fails(work: str) -> None:
    program = f"""
def work():
    {work}
with in_copy(work) as result:
    try:
        print(result())
    except CopyFailedError:
        print("failed")
"""
    assert _run(program + _TAIL) == "failed\nnothing is left\n"


def test_of_an_error_there_is_no_result() -> None:
    _fails("1 / 0")


def test_an_end_by_the_kernel_gives_no_result() -> None:
    _fails("os.kill(os.getpid(), 9)")


def test_it_ends_with_the_block_that_needs_it() -> None:
    program = """
with in_copy(lambda: time.sleep(3600)):
    pass
"""
    assert _run(program + _TAIL) == "nothing is left\n"


def test_without_a_descriptor_there_is_no_result() -> None:
    program = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (4, 4))
with in_copy(lambda: b"") as result:
    try:
        print(result())
    except CopyFailedError:
        print("failed")
"""
    assert _run(program) == "failed\n"


def test_an_interrupt_is_for_the_process_that_the_user_has_started() -> None:
    program = """
import signal
def work():
    signal.raise_signal(signal.SIGINT)
    return b"goes on"
with in_copy(work) as result:
    print(result())
"""
    assert _run(program) == "b'goes on'\n"
