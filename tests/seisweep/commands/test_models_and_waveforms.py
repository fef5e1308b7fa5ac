"""Which words after `pick` are models, which are waveforms, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from seisweep.commands.models_and_waveforms import models_and_waveforms
from seisweep.settings.home import Home
from seisweep.settings.profile import load_profile


@pytest.fixture
def parted(home, capsys):
    """Parts words in a folder that holds models and waveforms; models, waveforms and what was said."""
    for file in (
        "a.onnx",
        "trial/model_int8.onnx",
        "trial/residuals.csv",
        "day.mseed",
        "days/1.mseed",
        "stead/2.mseed",
    ):
        Path(file).parent.mkdir(exist_ok=True)
        Path(file).touch()
    for half in ("json", "pt"):
        Path(f"pair.{half}.v1").touch()
    where = Home.find()
    for sweep in ("xiao-1", "both"):
        where.sweep_file(sweep).parent.mkdir(parents=True)
        where.sweep_file(sweep).write_text("{}")
    Path("both").mkdir()

    def part(words: str) -> tuple[list[str], list[str], str]:
        found = models_and_waveforms(words.split(), where, load_profile("local", where.root))
        return *found, capsys.readouterr().err

    return part


@pytest.mark.parametrize(
    ("models", "waveforms"),
    [
        ("a.onnx", "day.mseed"),
        ("a.onnx", "day.mseed days"),
        ("a.onnx", "absent.mseed"),
        ("a.onnx", "absent/"),
        ("a.onnx", "absent/day-1/x"),
        ("a.onnx trial", "day.mseed"),
        ("trial pair a.onnx", "days day.mseed"),
        ("pair.json.v1 absent.onnx", "days"),
        ("runs:/1 models:/x@int8 hf:lab/x seisbench:new", "day.mseed"),
        ("stead original", "day.mseed"),
        ("original", "fdsn:GFZ?network=CX&station=PB01 day.mseed"),
    ],
)
def test_models_lead_and_waveforms_follow(models, waveforms, parted):
    if models.startswith("runs:/"):
        pytest.importorskip("mlflow")
        words, expected = f"a.onnx {models} {waveforms}", ["a.onnx", *models.split()]
    else:
        words, expected = f"{models} {waveforms}", models.split()
    if models.startswith("stead"):
        Path("stead/2.mseed").unlink()
        Path("stead").rmdir()
    found, rest, said = parted(words)
    assert (found, rest) == (expected, waveforms.split())
    if len(expected) > 1:
        assert f"models: {', '.join(expected)}; waveforms: {', '.join(rest)}\n" in said


def test_waveforms_with_the_name_of_weights_are_waveforms_and_that_is_said(parted):
    _, waveforms, said = parted("original stead")
    assert waveforms == ["stead"]
    assert said == "stead is taken as the waveforms of this name here; for SeisBench's weights write seisbench:stead\n"


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ("a.onnx", "no waveforms: a.onnx is a model"),
        (
            "a.onnx trial",
            "no waveforms: a.onnx, trial are models; a folder with a model in it counts as a model: give waveforms too",
        ),
        ("a.onnx day.mseed trial", "trial is a model but stands after waveforms; models come first"),
        ("a.onnx day.mseed runs:/1", "runs:/1 is a model but stands after waveforms"),
        ("a.onnx trial a.onnx days", "a.onnx is named twice"),
        ("a.onnx orignal day.mseed", "orignal: no sweep, run, SeisBench weights, file or folder of this name"),
        ("a.onnx both", "both is a folder here and a sweep: write ./both for the one"),
        ("sted days", "sted: no sweep, run, SeisBench weights"),
    ],
)
def test_what_is_not_certain_is_refused_in_one_line(words, part, parted):
    with pytest.raises(ValueError, match=r"\w") as raised:
        parted(words)
    assert part in str(raised.value)
    assert "\n" not in str(raised.value)
