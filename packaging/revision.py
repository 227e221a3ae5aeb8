"""A build hook of hatchling: puts the commit into what is built, as exporter/core/revision.txt.

The commit is, in this order: the variable REVISION (for a build without a git directory, as in the Dockerfile); the
commit that is checked out, with "-dirty" where the tree has changes; what a source distribution was made of. An
editable installation gets none: its files change, and the exporter reads the checkout's commit when it starts.
"""
# ruff: noqa: INP001 - a script

import os
import subprocess
import tempfile
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_FILE = "exporter/core/revision.txt"


class RevisionHook(BuildHookInterface):
    """Adds the file to a wheel or a source distribution."""

    _made = ""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write the revision to a temporary file, which the builder includes."""
        revision = os.environ.get("REVISION", "").strip() or self._checked_out()
        if version == "editable" or not revision:
            return
        descriptor, self._made = tempfile.mkstemp()
        with os.fdopen(descriptor, "w") as file:
            file.write(revision + "\n")
        os.chmod(self._made, 0o644)
        build_data["force_include"][self._made] = _FILE

    def finalize(self, _version: str, _build_data: dict[str, Any], _artifact_path: str) -> None:
        """Remove the temporary file."""
        if self._made:
            os.unlink(self._made)

    def _checked_out(self) -> str:
        """The commit of this directory's own repository; "" for a tree that lies in somebody else's."""
        if os.path.realpath(self._git("rev-parse", "--show-toplevel") or "/") != os.path.realpath(self.root):
            return ""
        return self._git("describe", "--always", "--dirty", "--abbrev=12", "--exclude=*")

    def _git(self, *arguments: str) -> str:
        try:
            done = subprocess.run(["git", *arguments], cwd=self.root, capture_output=True, text=True, check=False)  # noqa: S603, S607
        except OSError:
            return ""
        return done.stdout.strip() if done.returncode == 0 else ""
