"""Processes for which the permissions of files hold."""

import os
import subprocess

import pytest


def without_rights() -> tuple[str, ...]:
    """What to start a command with so that permissions hold for it, too."""
    if os.geteuid() != 0:
        return ()
    command = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search")
    if subprocess.run([*command, "true"], capture_output=True, check=False).returncode:
        pytest.skip("capabilities cannot be dropped here")
    return command
