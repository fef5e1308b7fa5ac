"""A small ablation from launch to its conditions: what is compared, and what the record says of each trial."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from seisweep import results
from seisweep.cli import run
from seisweep.engine.launch import launch
from seisweep.requested.sweep import narrow
from seisweep.settings.home import Home
from seisweep.settings.overrides import Overrides
from seisweep.settings.profile import Profile

from search_spaces.named import named_sweep
from search_spaces.sweep import Sweep
from trainables import pretraining
from trainables.data.synthetic_sequence import write_synthetic_sequence
from trainables.pretraining import PretrainingConfig
from trainables.run import LocalRun

MODEL = {
    "model.d_model": 8,
    "model.n_layers": 1,
    "model.num_heads": 2,
    "model.conv_width": 8,
    "model.conv_layers": 4,
    "model.qkv_proj_blocksize": 2,
}


@pytest.fixture(scope="module")
def sequence(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sequence") / "nrca"
    write_synthetic_sequence(folder, num_events=200)
    return folder


@pytest.fixture(scope="module")
def pretrained(earthquakes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pretrained")
    config = {
        "data": {"dataset": str(earthquakes), "window_samples": 2048, "cache_dir": str(folder / "cache")},
        "model": {key.partition(".")[2]: value for key, value in MODEL.items()},
        "contrast": {"groups": 2, "codes": 16, "code_width": 16, "negatives": 10, "mask_length": 4},
        "training": {"epochs": 1, "batch_size": 4, "limit_train_batches": 2},
    }
    pretraining.train(PretrainingConfig.model_validate(config), LocalRun(folder / "run"))
    return folder / "run" / "checkpoint"


def small(name: str, sequence: Path, **settings: object) -> Sweep:
    """A named suite of a tiny model, two classes, two seeds and two short epochs."""
    base = MODEL | {
        "data.dataset": str(sequence),
        "data.num_classes": 2,
        "training.epochs": 2,
        "training.batch_size": 8,
        "training.limit_train_batches": 2,
        "training.precision": "fp32",
        "freezing.unfreeze_at_epoch": 2,
    }
    return narrow(named_sweep(name), Overrides(base | settings, {}), {"seeds": [0, 1]})


@pytest.mark.integration
def test_an_ablation_ends_with_conditions_that_can_be_compared(local_ray, engine_home, sequence, pretrained):
    sweep = small("foreshock-ablation", sequence, **{"model.pretrained": str(pretrained)})
    outcome = launch(sweep, Profile(), engine_home, name="ablation-1")
    assert [row.state for row in outcome.rows] == ["done"] * 8, [row.reason for row in outcome.rows]

    loaded = results.load("ablation-1", outcome.tracking_uri)
    schedules = ["full", "frozen", "progressive", "random init"] * 2
    for trial, schedule in enumerate(schedules):
        expected = {
            "num_classes": "2",
            "few_shot_fraction": "1",
            "model": "xlstm, D 8",
            "schedule": schedule,
            "seed": str(trial // 4),
            "events_in_two_splits": "0",
        }
        found = loaded.tags(trial)
        assert {key: found.get(key) for key in expected} == expected
        assert (found.get("pretrained", "").startswith("loaded ")) == (schedule != "random init")
        assert (loaded.artifacts(trial) / "confusion_matrix.png").exists()
    assert len({loaded.tags(trial)["traces"] for trial in loaded.runs}) == 1, "the same splits for all"

    table = loaded.conditions()
    assert list(table["freezing.schedule"].fillna("random")) == ["full", "frozen", "progressive", "random"]
    assert list(table["seeds"]) == [2] * 4
    assert list(table["pairs"]) == [2, 2, 2, 0]
    trials = loaded.trials["dev/macro_f1"]
    assert table.loc[1, "difference"] == pytest.approx(((trials[1] - trials[3]) + (trials[5] - trials[7])) / 2)

    written = {file.name for file in (loaded.files / "conditions").iterdir()}
    assert written == {"conditions.csv", "conditions.png", "learning_curves.png"}
    kept = engine_home.sweep_dir("ablation-1") / "conditions"
    assert {file.name for file in kept.iterdir()} == written
    pd.testing.assert_frame_equal(pd.read_csv(kept / "conditions.csv"), table.replace("", None), check_dtype=False)


@pytest.mark.parametrize(
    ("name", "words", "complaint"),
    [
        ("foreshock-ablation", [], "start=pretrained needs pretrained weights: give model.pretrained=FOLDER_OR_FILE"),
        (
            "foreshock-classes",
            ["freezing.schedule=full,frozen"],
            "freezing.schedule=frozen without pretrained weights",
        ),
        ("foreshock-fewshot", ["model.start=random", "data.few_shot_fraction=0.5,0.001"], "leaves class 0"),
    ],
)
def test_a_suite_with_a_point_that_cannot_run_is_refused(sequence, home, capsys, name, words, complaint):
    assert run(["run", name, f"data.dataset={sequence}", *words]) == 2
    printed = capsys.readouterr()
    assert complaint in printed.err
    assert printed.err.count("\n") == 1
    assert printed.out == ""
    assert not home.exists()


def test_the_record_of_a_suite_says_only_what_its_trials_agree_in(sequence, tmp_path, monkeypatch):
    seen: list[dict[str, str]] = []

    def stop(plan, watch):
        seen.append(plan.launch.tags)
        raise ValueError("that will do")

    monkeypatch.setattr("seisweep.engine.session.run_session", stop)
    sweep = small("foreshock-fewshot", sequence, **{"model.start": "random"})
    with pytest.raises(ValueError, match="that will do"):
        launch(sweep, Profile(), Home(tmp_path / "home"), name="fewshot-1")
    assert seen[0]["num_classes"] == "2"
    assert len(seen[0]["data_fingerprint"]) == 12
    assert "few_shot_fraction" not in seen[0]
    assert "traces" not in seen[0]
