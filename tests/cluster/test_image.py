"""The image of docker/Dockerfile: built, not root, without build tools, one layer for our code, and it runs the demo.

It wants a Docker daemon or buildah, and a base: python:3.12-slim where it can be pulled, else one that is named, as
mmdebstrap makes it of Debian (with python3, python3-venv, passwd and ca-certificates):

    export SEISWEEP_TEST_BASE=localhost/base SEISWEEP_TEST_BUILD="--network host"
    python -m pytest -s -m docker_long tests/cluster/test_image.py

SEISWEEP_TEST_BUILD are further words for `build`, as `--build-arg BUILD_BASE=...` of a base that knows your own index.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from cluster.commands import REPOSITORY

pytestmark = [pytest.mark.integration, pytest.mark.docker_long]
BASE = os.environ.get("SEISWEEP_TEST_BASE", "python:3.12-slim")
NAME = "localhost/seisweep-test"
START = "/opt/code/docker/start.sh"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
BUILD_LIMIT_S = 3600


def call(*words: str, limit_s: float = 120, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | variables
    return subprocess.run(words, capture_output=True, text=True, timeout=limit_s, env=environment, check=False)


class Docker:
    """A daemon."""

    name = "docker"
    build_words = ("docker", "build")
    variables = {"DOCKER_BUILDKIT": "0"}  # noqa: RUF012

    @staticmethod
    def is_here() -> bool:
        return shutil.which("docker") is not None and call("docker", "info").returncode == 0

    @staticmethod
    def has_base() -> bool:
        return any(call("docker", *words, BASE, limit_s=600).returncode == 0 for words in (("inspect",), ("pull",)))

    @staticmethod
    def inspect() -> tuple[dict[str, object], list[str]]:
        (found,) = json.loads(call("docker", "image", "inspect", NAME).stdout)
        return found["Config"], found["RootFS"]["Layers"]

    @staticmethod
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return call("docker", "run", "--rm", "--init", "--shm-size=1g", NAME, *words, limit_s=1200)


class Buildah:
    """No daemon. What it runs gets no entry of the image, so that is said."""

    name = "buildah"
    build_words = ("buildah", "bud", "--format", "docker", "--isolation", "chroot", "--layers")
    variables = {"STORAGE_DRIVER": os.environ.get("STORAGE_DRIVER", "vfs")}  # noqa: RUF012

    @staticmethod
    def is_here() -> bool:
        return shutil.which("buildah") is not None

    @classmethod
    def has_base(cls) -> bool:
        """One that must be pulled is tried by the build."""
        return call("buildah", "inspect", "--type", "image", BASE, **cls.variables).returncode == 0

    @classmethod
    def inspect(cls) -> tuple[dict[str, object], list[str]]:
        found = json.loads(call("buildah", "inspect", "--type", "image", NAME, **cls.variables).stdout)
        return found["Docker"]["config"], found["Docker"]["rootfs"]["diff_ids"]

    @classmethod
    def run(cls, *words: str) -> subprocess.CompletedProcess[str]:
        container = call("buildah", "from", NAME, limit_s=600, **cls.variables).stdout.strip()
        try:
            run = ("buildah", "run", "--isolation", "chroot", container, "--", START, *words)
            return call(*run, limit_s=1200, **cls.variables)
        finally:
            call("buildah", "rm", container, **cls.variables)


def build(builder: type[Docker] | type[Buildah], context: Path) -> float:
    """Seconds that it took."""
    options = [
        "-f",
        "docker/Dockerfile",
        "-t",
        NAME,
        "--build-arg",
        f"BASE={BASE}",
        "--build-arg",
        f"GIT_COMMIT={COMMIT}",
    ]
    begun_s = time.monotonic()
    more = shlex.split(os.environ.get("SEISWEEP_TEST_BUILD", ""))
    words = [*builder.build_words, *more, *options, "."]
    done = subprocess.run(
        words,
        cwd=context,
        env=os.environ | builder.variables,
        capture_output=True,
        text=True,
        timeout=BUILD_LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return time.monotonic() - begun_s


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[type[Docker] | type[Buildah], Path]:
    """What built it, and the context that it was built from."""
    builder = next((one for one in (Docker, Buildah) if one.is_here()), None)
    if builder is None:
        pytest.skip("no image can be built here: neither a Docker daemon nor buildah")
    if not builder.has_base():
        pytest.skip(f"no image can be built here: {builder.name} has no base {BASE} (SEISWEEP_TEST_BASE)")
    context = tmp_path_factory.mktemp("image") / "context"
    files = call("git", "-C", str(REPOSITORY), "ls-files", "-z").stdout.split("\0")[:-1]
    for file in files:
        (context / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / file, context / file)
    print(f"\nbuilt by {builder.name} on {BASE} in {build(builder, context):.0f} s")
    return builder, context


def test_it_is_not_root_has_no_compiler_and_says_what_it_is(built) -> None:
    builder, _ = built
    config, layers = builder.inspect()
    assert config["User"] == "1000:1000"
    assert config["Labels"]["org.opencontainers.image.revision"] == COMMIT
    assert config["Healthcheck"]["Test"] == ["CMD", START, "healthy"]
    assert layers
    said = builder.run("bash", "-c", "id -u; command -v gcc cc make; python3 -m pip list; du -sh /opt 2>/dev/null")
    assert said.stdout.splitlines()[0] == "1000", said
    assert "/gcc" not in said.stdout
    print(f"\n{said.stdout.splitlines()[-1]}")
    commit = "from seisweep.record.provenance import launch_tags; print(launch_tags()['git_commit'])"
    assert builder.run("python3", "-c", commit).stdout.strip() == COMMIT
    refused = builder.run("worker")
    assert refused.returncode == 2
    assert "RAY_AUTH_TOKEN is missing" in refused.stderr


def test_the_demo_runs_in_it(built) -> None:
    builder, _ = built
    done = builder.run("seisweep", "demo", "--tiny")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert "model_int8.onnx" in done.stdout


def test_a_change_of_our_code_is_one_layer(built) -> None:
    builder, context = built
    _, before = builder.inspect()
    with (context / "platform" / "seisweep" / "text.py").open("a") as file:
        file.write("# changed\n")
    print(f"\nbuilt again in {build(builder, context):.0f} s")
    _, after = builder.inspect()
    assert len(before) == len(after)
    assert [one for one, other in zip(before, after, strict=True) if one != other] == before[-1:]
