"""The image and the manifests for Kubernetes, as far as they can be checked without a registry and a cluster."""

import re
import tomllib
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from tests.support.paths import TOP

_VERSION = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]["version"]
_DOCKERFILE = (TOP / "Dockerfile").read_text()
_KUSTOMIZATIONS = [TOP / "packaging/kubernetes", TOP / "packaging/kubernetes-containerd"]
_TEXT = {"type": "string", "minLength": 1}
_PATCH = {
    "type": "array",
    "minItems": 1,
    "items": {
        "type": "object",
        "properties": {"op": {"const": "replace"}, "path": {"type": "string", "pattern": "^/"}, "value": _TEXT},
        "required": ["op", "path", "value"],
        "additionalProperties": False,
    },
}
#: The fields of a Kustomization that are used here (kustomize v5, api/types/kustomization.go).
_KUSTOMIZATION = {
    "type": "object",
    "properties": {
        "apiVersion": {"const": "kustomize.config.k8s.io/v1beta1"},
        "kind": {"const": "Kustomization"},
        "namespace": _TEXT,
        "resources": {"type": "array", "items": _TEXT, "minItems": 1, "uniqueItems": True},
        "images": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"name": _TEXT, "newName": _TEXT, "newTag": _TEXT, "digest": _TEXT},
                "required": ["name"],
                "additionalProperties": False,
            },
        },
        "patches": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"target": {"type": "object", "required": ["kind", "name"]}, "patch": _TEXT},
                "required": ["target", "patch"],
                "additionalProperties": False,
            },
        },
    },
    "required": ["apiVersion", "kind", "resources"],
    "additionalProperties": False,
}
#: What every object needs, and what a DaemonSet needs besides (Kubernetes apps/v1, core/v1).
_OBJECT = {
    "type": "object",
    "properties": {
        "apiVersion": _TEXT,
        "kind": _TEXT,
        "metadata": {"type": "object", "required": ["name", "namespace"]},
        "spec": {"type": "object"},
    },
    "required": ["apiVersion", "kind", "metadata", "spec"],
}


def _built(directory: Path) -> list[dict[str, Any]]:
    """The objects of a kustomization, with its patches and images: what `kubectl kustomize` prints."""
    about = yaml.safe_load((directory / "kustomization.yaml").read_text())
    Draft202012Validator(_KUSTOMIZATION).validate(about)
    objects: list[dict[str, Any]] = []
    for resource in about["resources"]:
        path = (directory / resource).resolve()
        assert not directory.resolve().is_relative_to(path), "kustomize takes that for a circle"
        objects += _built(path) if path.is_dir() else deepcopy([*yaml.safe_load_all(path.read_text())])
    for one in about.get("patches", []):
        patch = yaml.safe_load(one["patch"])
        Draft202012Validator(_PATCH).validate(patch)
        (target,) = [found for found in objects if found["kind"] == one["target"]["kind"]]
        assert target["metadata"]["name"] == one["target"]["name"]
        for step in patch:
            _replace(target, step["path"], step["value"])
    for image in about.get("images", []):
        for container in (each for one in objects if one["kind"] == "DaemonSet" for each in _containers(one)):
            assert container["image"].split(":")[0] == image["name"]
            container["image"] = f"{image['name']}:{image['newTag']}"
    for one in objects:
        Draft202012Validator(_OBJECT).validate(one)
        assert one["metadata"]["namespace"] == about.get("namespace", one["metadata"]["namespace"])
    return objects


def _containers(daemons: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = daemons["spec"]["template"]["spec"]["containers"]
    return found


def _replace(target: Any, path: str, value: str) -> None:
    *way, last = path.strip("/").split("/")
    for name in way:
        target = target[int(name) if isinstance(target, list) else name]
    key = int(last) if isinstance(target, list) else last
    assert target[key], "only what is there can be replaced"
    target[key] = value


@pytest.mark.parametrize(("directory", "root"), [*zip(_KUSTOMIZATIONS, ["docker", "containerd"], strict=True)])
def test_a_kustomization_has_a_daemon_set_of_this_version_that_reads_one_root(directory: Path, root: str) -> None:
    objects = _built(directory)
    assert sorted(one["kind"] for one in objects) == ["DaemonSet", "Service"]
    (daemons,) = [one for one in objects if one["kind"] == "DaemonSet"]
    (container,) = _containers(daemons)
    assert container["image"] == f"docker-storage-exporter:{_VERSION}"
    assert [one for one in container["args"] if one.startswith("--root")] == [f"--root=/var/lib/{root}"]
    volumes = {one["name"]: one for one in daemons["spec"]["template"]["spec"]["volumes"]}
    assert {one["name"] for one in container["volumeMounts"]} == {*volumes}
    mounts = {one["name"]: one for one in container["volumeMounts"]}
    assert mounts["root"]["mountPath"] == volumes["root"]["hostPath"]["path"] == f"/var/lib/{root}"
    assert mounts["root"]["readOnly"]


def test_all_stages_of_the_image_are_of_one_base_by_its_digest() -> None:
    bases = re.findall(r"^FROM (\S+)", _DOCKERFILE, re.MULTILINE)
    (base,) = {*bases}
    name, _, digest = base.partition("@")
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", digest)
    labels = _labels()
    assert labels["base.name"] == name
    assert labels["base.digest"] == digest


def test_the_image_says_what_it_is() -> None:
    labels = _labels()
    assert {"title", "description", "licenses"} <= labels.keys()
    assert labels["version"] == _VERSION
    assert labels["revision"] == "${REVISION}"
    last = _DOCKERFILE[_DOCKERFILE.rindex("\nFROM ") :]
    assert last.index("ARG REVISION") < last.index("LABEL"), "an argument holds for one stage"


def _labels() -> dict[str, str]:
    return dict(re.findall(r'org\.opencontainers\.image\.([a-z.]+)="([^"]*)"', _DOCKERFILE))
