"""A build hook of hatchling: puts the commit into what is built, as exporter/core/revision.txt.

The commit is, in this order: the variable REVISION (for a build without a git directory, as in the Dockerfile); the
commit that is checked out, with "-dirty" where the tree has changes; what a source distribution was made of. An
editable installation gets none: its files change, and the exporter reads the checkout's commit when it starts.

A wheel also gets what `completion` prints, as files in share/ where bash, zsh and fish look for them; and documents,
dashboards, rules and manifests in share/docker-storage-exporter, as they lie here, so that their links hold. What is
missing is left out: the image is built without documents.
"""
# ruff: noqa: INP001 - a script

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_FILE = "exporter/core/revision.txt"
_COMPLETION = {
    "bash": "share/bash-completion/completions/docker-storage-exporter",
    "zsh": "share/zsh/site-functions/_docker-storage-exporter",
    "fish": "share/fish/vendor_completions.d/docker-storage-exporter.fish",
}
_SHARE = "share/docker-storage-exporter"
#: Directories, and the endings of the files that are shared of each.
_SHARED = {
    "": ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "Dockerfile", "compose.yaml"),
    "benchmarks": (".md",),
    "docs": (".md", ".json", ".png"),
    "grafana": (".json", ".yml", ".yaml"),
    "packaging": (".yaml", ".yml", ".service", ".socket", ".timer"),
    "prometheus": (".yml", ".json", ".libsonnet"),
}
_NOT_SHARED = {"debian", "preview", "tests"}


def shared(root: str) -> Iterator[str]:
    """The files of a source tree that are shared, relative to it."""
    for top, endings in _SHARED.items():
        for directory, directories, files in os.walk(os.path.join(root, top)):
            directories[:] = sorted({*directories} - _NOT_SHARED) if top else []
            for name in sorted(files):
                if name.endswith(endings):
                    yield os.path.relpath(os.path.join(directory, name), root)


class RevisionHook(BuildHookInterface):
    """Adds the file to a wheel or a source distribution."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write temporary files, which the builder includes."""
        self._made: list[str] = []
        if version == "editable":
            return
        if revision := os.environ.get("REVISION", "").strip() or self._checked_out():
            build_data["force_include"][self._file(revision)] = _FILE
        if self.target_name != "wheel":
            return
        for path in shared(self.root):
            build_data["shared_data"][os.path.join(self.root, path)] = f"{_SHARE}/{path}"
        if os.path.exists(os.path.join(self.root, "exporter/cli/main.py")):
            for shell, place in _COMPLETION.items():
                build_data["shared_data"][self._file(self._completion(shell))] = place

    def finalize(self, _version: str, _build_data: dict[str, Any], _artifact_path: str) -> None:
        """Remove the temporary files."""
        for one in self._made:
            os.unlink(one)

    def _file(self, text: str) -> str:
        descriptor, name = tempfile.mkstemp()
        self._made.append(name)
        with os.fdopen(descriptor, "w") as file:
            file.write(text + "\n")
        os.chmod(name, 0o644)
        return name

    def _completion(self, shell: str) -> str:
        """What the program prints for a shell."""
        code = f"from exporter.cli.completion import script; print(script({shell!r}))"
        command = [sys.executable, "-c", code]
        return subprocess.run(command, cwd=self.root, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603

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
