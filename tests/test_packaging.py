"""What is handed out: the wheel, and the files beside it that name versions, packages and pages once more."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
PACKAGES = {"seisweep": "platform/seisweep", "trainables": "trainables", "search_spaces": "search_spaces"}
CONDA_NAMES = {"matplotlib": {"matplotlib-base"}, "ray": {"ray-default", "ray-train", "ray-tune"}, "torch": {"pytorch"}}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder], cwd=REPOSITORY, check=True
    )
    (file,) = folder.glob("*.whl")
    return file


def test_the_wheel_has_all_files_of_the_packages_and_the_notebooks(wheel):
    has = set(zipfile.ZipFile(wheel).namelist())
    wanted = {
        f"{package}/{file.relative_to(REPOSITORY / folder).as_posix()}"
        for package, folder in PACKAGES.items()
        for file in (REPOSITORY / folder).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    assert wanted - has == set()
    assert {"seisweep/py.typed", "trainables/py.typed", "search_spaces/py.typed"} <= has
    assert {"seisweep/report/page.html", "seisweep/settings/profiles/local.toml", "trainables/edge/__main__.py"} <= has
    notebooks = {name.rpartition("/")[2] for name in has if "/data/share/seisweep/notebooks/" in name}
    assert notebooks == {file.name for file in (REPOSITORY / "notebooks").glob("*.ipynb")} != set()
    assert not [name for name in has if "test" in name.partition("/")[0]]


def test_profiles_template_edge_program_and_class_file_come_out_of_the_wheel(wheel, tmp_path):
    """Read or made by the unpacked wheel, from a folder that is not the checkout."""
    zipfile.ZipFile(wheel).extractall(tmp_path / "unpacked")
    code = """
import seisweep
from pathlib import Path
from seisweep.report import files
from seisweep.settings.profile import PROFILES
from trainables.export.one_file import as_one_file
from trainables.export.picker_folder import write_program
from trainables.models.xiaonet import XiaoNet
print(Path(seisweep.__file__).parents[1])
print(sorted(file.stem for file in PROFILES.glob("*.toml")))
print(len(files("seisweep.report").joinpath("page.html").read_text()) > 1000)
write_program(Path("pick.pyz"))
print("class XiaoNet" in as_one_file(XiaoNet, ""))
"""
    env = {**os.environ, "PYTHONPATH": str(tmp_path / "unpacked")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        str(tmp_path / "unpacked"), "['cluster', 'cluster-cpu', 'local']", "True", "True"
    ]  # fmt: skip
    helped = subprocess.run([sys.executable, "pick.pyz", "--help"], cwd=tmp_path, capture_output=True, check=False)
    assert helped.returncode == 0


def test_what_is_imported_is_declared():
    program = Path(sys.executable).with_name("deptry")
    done = subprocess.run([program, *PACKAGES.values()], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_extras_stay_out_of_the_base_install():
    base = {Requirement(text).name for text in PROJECT["dependencies"]}
    assert not base & {"xlstm", "mlstm_kernels", "boto3", "psycopg", "huggingface_hub", "optuna-dashboard"}
    assert {"foreshock", "cluster", "dashboard", "hub"} <= set(PROJECT["optional-dependencies"])


def test_pythons_that_are_named_are_those_that_it_takes():
    named = re.findall(r"Python :: (3\.\d+)", " ".join(PROJECT["classifiers"]))
    assert named == ["3.11", "3.12", "3.13"]
    assert PROJECT["requires-python"] == ">=3.11,<3.14"


def test_the_citation_is_of_this_version():
    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text())
    assert citation["version"] == PROJECT["version"]
    assert citation["license"] == PROJECT["license"]
    assert citation["abstract"] == PROJECT["description"]


def test_the_conda_recipe_asks_for_the_same_packages():
    recipe = yaml.safe_load((REPOSITORY / "conda" / "recipe" / "recipe.yaml").read_text())
    assert recipe["context"]["version"] == PROJECT["version"]
    python, *packages = recipe["requirements"]["run"]
    assert python == f"python {PROJECT['requires-python']}"
    found = {(package, limits) for package, _, limits in (text.partition(" ") for text in packages)}
    wanted = set()
    for requirement in map(Requirement, PROJECT["dependencies"]):
        limits = ",".join(sorted((str(one) for one in requirement.specifier), key=lambda one: one[0] == "<"))
        wanted |= {(name, limits) for name in CONDA_NAMES.get(requirement.name, {canonicalize_name(requirement.name)})}
    assert found == wanted


def test_links_of_readme_lead_to_files_and_work_on_a_package_index():
    module = runpy.run_path(str(REPOSITORY / ".ci" / "absolute_links.py"))
    text = module["README"].read_text()
    address = "https://github.com/ORG/REPO"
    outside = module["with_absolute_links"](text, address, "v1.2.3")
    assert f"]({address}/" in outside
    for kind, path in re.findall(rf"\]\({address}/(raw|blob)/v1\.2\.3/([^)#]+)", outside):
        assert (REPOSITORY / path).exists(), path
        assert (kind == "raw") == path.endswith((".png", ".svg")), path
    assert not re.findall(r"\]\((?!https?:|mailto:|#)[^)]*\)", outside)
    assert module["with_absolute_links"](outside, "https://example.org", "v2") == outside


def test_the_release_checks_the_version_and_tries_the_wheel_on_each_python():
    jobs = yaml.safe_load((REPOSITORY / ".github" / "workflows" / "release.yml").read_text())["jobs"]
    assert jobs["publish"]["needs"] == "try"
    assert jobs["try"]["needs"] == "build"
    assert jobs["try"]["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13"]
    (line,) = (step["run"] for step in jobs["build"]["steps"] if "pyproject.toml" in step.get("run", ""))
    tag = {**os.environ, "GITHUB_REF_NAME": f"v{PROJECT['version']}"}
    assert subprocess.run(["bash", "-c", line], cwd=REPOSITORY, env=tag, check=False).returncode == 0
    assert subprocess.run(
        ["bash", "-c", line], cwd=REPOSITORY, env={**tag, "GITHUB_REF_NAME": "v9.9.9"}, check=False
    ).returncode
    for step in jobs["try"]["steps"]:
        program = step.get("run", "").partition(" ")[0]
        assert not program or os.access(REPOSITORY / program, os.X_OK), program
