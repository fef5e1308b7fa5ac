"""The files of docker/ as their linters see them. Those of PyPI come with the dev extra."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from seisweep.record.provenance import COMMIT_VARIABLE

SCRIPTS = ("start.sh", "new-env.sh", "slurm/sweep.sbatch")
COMPOSE = ("compose.yaml", "compose.gpu.yaml")


def tool(name: str) -> str:
    """A program of this environment, or of this machine. Skips where there is none."""
    found = shutil.which(name, path=f"{sys.prefix}/bin") or shutil.which(name)
    if not found:
        pytest.skip(f"{name} is not installed")
    return found


def docker_compose() -> list[str]:
    """Docker Compose, as Docker's plugin or by itself. Skips where there is none that reads the specification."""
    for words in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(words[0]):
            done = subprocess.run([*words, "version", "--short"], capture_output=True, text=True, timeout=60)
            if done.returncode == 0 and not done.stdout.startswith("1."):
                return words
    pytest.skip("no Docker Compose is installed (version 2 or newer)")


def clean(*words: str, cwd: Path | None = None) -> None:
    done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_dockerfile_is_clean(docker_folder):
    clean(tool("hadolint"), "Dockerfile", cwd=docker_folder)


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_is_clean_and_can_be_started(docker_folder, script):
    clean(tool("shellcheck"), "--shell=bash", script, cwd=docker_folder)
    clean("bash", "-n", script, cwd=docker_folder)
    assert (docker_folder / script).stat().st_mode & 0o100 or script.endswith(".sbatch")


@pytest.mark.parametrize("file", COMPOSE)
def test_compose_files_are_what_the_specification_says(docker_folder, file):
    clean(tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", file, cwd=docker_folder)


@pytest.mark.parametrize("files", [COMPOSE[:1], COMPOSE])
def test_compose_itself_reads_them(docker_folder, programs, files):
    env = programs.folder / "env"
    clean(str(docker_folder / "new-env.sh"), str(env), str(docker_folder / ".env.example"))
    options = [word for file in files for word in ("-f", file)]
    clean(*docker_compose(), "--env-file", str(env), *options, "config", "--quiet", cwd=docker_folder)


def test_what_the_image_copies_is_there_and_reaches_the_builder(docker_folder):
    root = docker_folder.parent
    ignored = (root / ".dockerignore").read_text().splitlines()
    copies = re.findall(r"^COPY (?!--from)(.+)$", (docker_folder / "Dockerfile").read_text(), re.MULTILINE)
    sources = [source for line in copies for source in line.split()[:-1]]
    assert len(sources) >= 8
    for source in sources:
        assert (root / source).exists(), source
        assert f"!{source}" in ignored, source
    assert sorted(line[1:] for line in ignored if line.startswith("!")) == sorted(set(sources))


def test_the_image_says_the_version_that_it_has(docker_folder):
    version = tomllib.loads((docker_folder.parent / "pyproject.toml").read_text())["project"]["version"]
    dockerfile = (docker_folder / "Dockerfile").read_text()
    assert f"ARG VERSION={version}\n" in dockerfile
    assert f"ENV {COMMIT_VARIABLE}=${{GIT_COMMIT}}\n" in dockerfile


def variables_of(text: str) -> dict[str, str]:
    """What stands behind the name of each ${...}, the operator first."""
    return dict(re.findall(r"(?<!\$)\$\{(\w+)([^}]*)\}", text))


def test_secrets_have_no_default_and_every_variable_is_in_the_example(docker_folder):
    used: dict[str, str] = {}
    for file in COMPOSE:
        used |= variables_of((docker_folder / file).read_text())
    example = (docker_folder / ".env.example").read_text()
    listed = set(re.findall(r"^(\w+)=$", example, re.MULTILINE))
    assert set(used) - {"SEISWEEP_PROFILE"} == listed
    secrets = {name for name, rest in used.items() if rest.startswith(":?")}
    assert secrets == {name for name in listed if re.search("PASSWORD|KEY|TOKEN", name)}
    assert all(rest.startswith((":?", ":-")) for rest in used.values())


def test_services_listen_to_this_machine_alone_and_are_looked_after(docker_folder):
    compose = yaml.safe_load((docker_folder / "compose.yaml").read_text())
    services = compose["services"]
    assert set(services) == {"postgres", "s3", "mlflow", "head", "worker", "sweep"}
    for name, service in services.items():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
        assert service.get("init") or name == "postgres", name  # which has none to reap
        if name == "sweep":
            assert service["profiles"] == ["sweep"]
        else:
            assert service["restart"] == "unless-stopped", name
            assert "healthcheck" in service or name == "worker", name  # that of the image
    mounted = {volume.split(":")[0] for service in services.values() for volume in service.get("volumes", [])}
    assert mounted == set(compose["volumes"]) == {"database", "objects", "home"}
    assert set(services["sweep"]["depends_on"]) == {"mlflow", "head"}
    assert all(needed == {"condition": "service_healthy"} for needed in services["mlflow"]["depends_on"].values())


def test_the_folder_hides_no_package_of_its_name():
    """MLflow imports Docker's own, and this repository lies before it on the path."""
    import docker

    assert docker.__file__, "a folder without code"
    assert not (Path(__file__).parent / "__init__.py").exists()
