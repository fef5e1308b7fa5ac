"""The manifests as kustomize renders them, against Kubernetes' schema, and Ray's against the fields of KubeRay."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

RENDERED = ("overlays/cpu", "overlays/gpu", "job")
KUBERNETES = "1.32"

# Fields of custom resources, as the reference of KubeRay v1.6.2 lists them. Templates of pods are Kubernetes' own.
RAY_JOB = {
    *("activeDeadlineSeconds", "backoffLimit", "rayClusterSpec", "submitterPodTemplate", "metadata", "clusterSelector"),
    *("submitterConfig", "managedBy", "deletionStrategy", "entrypoint", "runtimeEnvYAML", "jobId", "submissionMode"),
    *("entrypointResources", "entrypointNumCpus", "entrypointNumGpus", "ttlSecondsAfterFinished", "suspend"),
    *("preRunningDeadlineSeconds", "shutdownAfterJobFinishes"),
}
RAY_CLUSTER = {
    *("upgradeStrategy", "authOptions", "suspend", "managedBy", "autoscalerOptions", "headServiceAnnotations"),
    *("enableInTreeAutoscaling", "gcsFaultToleranceOptions", "headGroupSpec", "rayVersion", "workerGroupSpecs"),
}
HEAD = {"template", "headService", "enableIngress", "resources", "labels", "rayStartParams", "serviceType"}
WORKERS = {
    *("suspend", "groupName", "replicas", "minReplicas", "maxReplicas", "idleTimeoutSeconds", "resources", "labels"),
    *("rayStartParams", "template", "scaleStrategy", "numOfHosts"),
}
AUTOSCALER = {
    *("resources", "image", "imagePullPolicy", "securityContext", "idleTimeoutSeconds", "upscalingMode", "version"),
    *("env", "envFrom", "volumeMounts"),
}


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory, docker_folder: Path) -> dict[str, list[dict[str, Any]]]:
    """What is applied, by folder."""
    programs = {"kustomize": ["kustomize", "build"], "kubectl": ["kubectl", "kustomize"]}
    found = next((words for name, words in programs.items() if shutil.which(name)), None)
    if found is None:
        pytest.skip("neither kubectl nor kustomize is installed")
    folder = tmp_path_factory.mktemp("kubernetes") / "files"
    shutil.copytree(docker_folder / "kubernetes", folder, ignore=shutil.ignore_patterns("secrets.env"))
    subprocess.run([docker_folder / "new-env.sh", folder / "base" / "secrets.env"], check=True, capture_output=True)
    done = {one: subprocess.run([*found, folder / one], capture_output=True, text=True) for one in RENDERED}
    for one in done.values():
        assert one.returncode == 0, one.stderr
    return {name: list(yaml.safe_load_all(one.stdout)) for name, one in done.items()}


def custom(objects: list[dict[str, Any]]) -> dict[str, Any]:
    """The one object that Kubernetes itself does not know."""
    (found,) = [one for one in objects if one["apiVersion"].startswith("ray.io/")]
    return found


def cluster_in(one: dict[str, Any]) -> dict[str, Any]:
    return dict(one["spec"].get("rayClusterSpec") or one["spec"])


def pods(objects: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Templates of all pods, with a name."""
    for one in objects:
        if one["kind"] in ("Deployment", "StatefulSet"):
            yield one["metadata"]["name"], one["spec"]["template"]
    ray = custom(objects)
    cluster = cluster_in(ray)
    yield "head", cluster["headGroupSpec"]["template"]
    for group in cluster["workerGroupSpecs"]:
        yield group["groupName"], group["template"]
    if "submitterPodTemplate" in ray["spec"]:
        yield "submitter", ray["spec"]["submitterPodTemplate"]


@pytest.mark.parametrize("folder", RENDERED)
def test_kubernetes_knows_every_field(rendered, folder):
    validator = pytest.importorskip("kubernetes_validate")
    objects = [one for one in rendered[folder] if not one["apiVersion"].startswith("ray.io/")]
    templates = [
        {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": name}, "template": template}
        for name, template in pods(rendered[folder])
    ]
    assert len(objects) == 10
    for one in objects + templates:
        validator.validate(one, KUBERNETES, strict=True)


@pytest.mark.parametrize("folder", RENDERED)
def test_kuberay_knows_every_field(rendered, folder):
    ray = custom(rendered[folder])
    assert (ray["apiVersion"], ray["kind"]) == ("ray.io/v1", "RayJob" if folder == "job" else "RayCluster")
    if folder == "job":
        assert set(ray["spec"]) <= RAY_JOB
        assert ray["spec"]["shutdownAfterJobFinishes"] is True
    cluster = cluster_in(ray)
    assert set(cluster) <= RAY_CLUSTER
    assert cluster["authOptions"] == {"mode": "token", "secretName": "seisweep"}
    assert set(cluster["headGroupSpec"]) <= HEAD
    groups = cluster["workerGroupSpecs"]
    assert all(set(group) <= WORKERS for group in groups)
    scaled = cluster.get("autoscalerOptions", {})
    assert set(scaled) <= AUTOSCALER
    assert bool(scaled) == (folder == "overlays/gpu")
    every = [cluster["headGroupSpec"], *groups]
    assert all(isinstance(value, str) for one in every for value in one["rayStartParams"].values())
    if scaled:
        assert [group["minReplicas"] for group in groups] == [0]
        assert all(one["template"]["spec"]["restartPolicy"] == "Never" for one in every)


@pytest.mark.parametrize("folder", RENDERED)
def test_every_pod_is_bounded_looked_after_and_not_root(rendered, folder):
    for name, template in pods(rendered[folder]):
        spec = template["spec"]
        assert spec["securityContext"]["runAsNonRoot"] is True, name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        for container in spec["containers"]:
            assert set(container["resources"]) == {"requests", "limits"}, name
            assert {"cpu", "memory"} <= set(container["resources"]["limits"]), name
            closed = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
            assert container["securityContext"] == closed, name
            assert name == "submitter" or {"readinessProbe", "livenessProbe"} <= set(container), name


@pytest.mark.parametrize("folder", RENDERED)
def test_all_of_it_lies_in_its_namespace_and_every_secret_is_there(rendered, folder):
    objects = rendered[folder]
    assert {one["metadata"].get("namespace") for one in objects if one["kind"] != "Namespace"} == {"seisweep"}
    (secret,) = [one for one in objects if one["kind"] == "Secret"]
    assert secret["metadata"]["name"] == "seisweep"
    assert "auth_token" in secret["data"]
    asked = [
        variable["valueFrom"]["secretKeyRef"]
        for _, template in pods(objects)
        for container in template["spec"]["containers"]
        for variable in container.get("env", [])
        if "valueFrom" in variable
    ]
    assert {one["name"] for one in asked} == {"seisweep"}
    assert {one["key"] for one in asked} | {"auth_token"} == set(secret["data"])
    (config,) = [one for one in objects if one["kind"] == "ConfigMap"]
    assert (config["metadata"]["name"], list(config["data"])) == ("profile", ["kubernetes.toml"])


def test_without_secrets_nothing_is_rendered(tmp_path, docker_folder, rendered):
    folder = tmp_path / "files"
    shutil.copytree(docker_folder / "kubernetes", folder, ignore=shutil.ignore_patterns("secrets.env"))
    words = ["kustomize", "build"] if shutil.which("kustomize") else ["kubectl", "kustomize"]
    done = subprocess.run([*words, folder / "overlays" / "cpu"], capture_output=True, text=True)
    assert done.returncode != 0
    assert "secrets.env" in done.stderr
