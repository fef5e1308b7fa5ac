"""What is said where something is not installed, and what works without it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import seisweep
from seisweep.cli import run
from seisweep.commands.doctor_checks import examine
from seisweep.settings.home import Home
from seisweep.settings.profile import Profile
from seisweep.supported import why_not_install, why_not_run

from trainables import foreshock_extra
from trainables.data.synthetic_sequence import write_synthetic_sequence
from trainables.models.representation import build_backbone
from trainables.models.representation_config import cpu_sized


@pytest.fixture
def base_install(monkeypatch, tmp_path) -> Path:
    """Without the extra `foreshock`; the home."""
    for package in foreshock_extra.PACKAGES:
        monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setenv("SEISWEEP_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    Path("weights.pt").touch()  # is there; what is in it is looked at later
    return tmp_path / "home"


@pytest.fixture(scope="module")
def sequence(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sequence") / "nrca"
    write_synthetic_sequence(folder, num_events=200)
    return folder


def check_line(line: str) -> None:
    assert 'pip install "seisweep[foreshock]"' in line
    assert "NXAI Community License" in line
    assert len(line.strip().splitlines()) == 1


@pytest.mark.parametrize(
    "words",
    [
        "demo foreshock --tiny",
        "train pretraining data.dataset={earthquakes}",
        "train finetuning data.dataset={sequence}",
        "train finetuning data.dataset={sequence} model.backbone=transformer",
        "run foreshock data.dataset={sequence} model.pretrained=weights.pt",
        "run foreshock-ablation data.dataset={sequence} model.pretrained=weights.pt",
        "run foreshock-fewshot data.dataset={sequence} model.pretrained=weights.pt --dry-run",
        "run foreshock-classes data.dataset={sequence} model.pretrained=weights.pt",
    ],
)
def test_what_needs_the_extra_says_so_before_it_starts(base_install, earthquakes, sequence, words, capsys):
    assert run(words.format(earthquakes=earthquakes, sequence=sequence).split()) == 2
    out, err = capsys.readouterr()
    assert out == ""
    check_line(err)
    assert not base_install.exists()


def test_python_says_it_too(base_install, earthquakes):
    with pytest.raises(ValueError, match="foreshock") as found:
        seisweep.train("pretraining", settings={"data.dataset": str(earthquakes)})
    check_line(str(found.value))
    for backbone in ("xlstm", "transformer"):
        with pytest.raises(ValueError, match="foreshock") as found:
            build_backbone(cpu_sized().model_copy(update={"backbone": backbone}))
        check_line(str(found.value))


def test_settings_can_be_read_without_the_extra(base_install, capsys):
    assert run(["settings", "pretraining", "model."]) == 0
    assert "model.d_model = 128" in capsys.readouterr().out


def test_doctor_says_what_the_extra_is_for(base_install):
    (found,) = (check for check in examine(Home.find(), Profile()) if check.what == "foreshock")
    assert found.state == "note"
    check_line(found.detail)


def test_a_package_that_is_missing_is_named_with_what_brings_it(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "seisweep.commands.doctor_checks", None)
    assert run(["doctor"]) == 2
    assert capsys.readouterr().err.endswith("-m pip install seisweep brings it\n")


def test_where_it_does_not_run_it_says_where_it_would():
    assert why_not_run((3, 11), "Linux") == why_not_run((3, 13), "Darwin") == ""
    assert "this is Python 3.10" in why_not_run((3, 10), "Linux")
    assert "WSL" in why_not_run((3, 12), "Windows")


@pytest.mark.parametrize(
    ("system", "machine", "libc", "named"),
    [
        ("Linux", "x86_64", "glibc", ""),
        ("Linux", "aarch64", "glibc", ""),
        ("Darwin", "arm64", "", ""),
        ("Darwin", "x86_64", "", "macOS, x86_64"),
        ("Linux", "x86_64", "", "Linux without glibc, x86_64"),
        ("Linux", "armv7l", "glibc", "Linux, armv7l"),
    ],
)
def test_a_machine_that_has_no_wheels_is_named(system, machine, libc, named):
    found = why_not_install(system, machine, libc)
    assert named in found
    assert bool(found) == bool(named)


@pytest.mark.parametrize("version", ["3.8", "3.9", "3.10"])
def test_an_old_python_reads_why_not(version):
    """What is read before the version is looked at has no newer words: as an old one parses it."""
    package = Path(seisweep.__file__).parent
    minor = int(version.partition(".")[2])
    code = f"""
import ast
for file in {[str(package / "supported.py"), str(package / "__init__.py")]!r}:
    ast.parse(open(file).read(), feature_version=(3, {minor}))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
