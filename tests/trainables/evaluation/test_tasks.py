"""The three tasks on a split: which windows choose thresholds, what cannot be scored, what stays sealed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score, precision_recall_curve
from task_records import write_records

from trainables.data.config import DataConfig
from trainables.data.seal import Opening
from trainables.data.windows import which_test_split
from trainables.evaluation.task_names import Task
from trainables.evaluation.task_targets import TasksConfig
from trainables.evaluation.task_windows import TaskPicker, answers
from trainables.evaluation.tasks import halves_in_words, open_tasks, score_tasks


@pytest.fixture(scope="module")
def config(tmp_path_factory) -> DataConfig:
    folder = tmp_path_factory.mktemp("tasks") / "records"
    write_records(folder)
    return DataConfig(dataset=str(folder))


def picker(seed: int = 0) -> TaskPicker:
    """Finds what is loud, with errors that are the same for the same window."""

    def probabilities(batch) -> np.ndarray:
        rng = np.random.default_rng(seed)
        loud = batch.raw_BXT.abs().amax(dim=1).numpy() / 30
        curves = np.clip(loud[:, None] * rng.uniform(0.2, 0.5, (1, 2, 1)), 0, 0.5)
        return np.concatenate([curves, 1 - curves.sum(axis=1, keepdims=True)], axis=1)

    return TaskPicker(probabilities, "PSN", 3001)


def scores_of(found) -> dict[tuple[str, str, str], float]:
    return {(one.model, str(one.task), one.measure): one.score.value for one in found}


def test_thresholds_come_from_one_half_of_the_events(config):
    tasks = TasksConfig()
    data = open_tasks(config, tasks, list(Task))
    detection = data.targets.detection
    first = data.is_chosen_on[detection["trace_idx"]]
    events = data.event[detection["trace_idx"].to_numpy()]
    assert not set(events[first]) & set(events[~first])
    assert 0.35 < first.mean() < 0.65
    score = answers({"one": picker()}, data.dataset, detection)["one"].detection
    is_event = (detection["trace_type"] == "earthquake").to_numpy()
    precision, recall, tried = precision_recall_curve(is_event[first], score[first])
    threshold = tried[np.nanargmax(2 * precision * recall / (precision + recall))]
    (found,) = (one for one in score_tasks({"one": picker()}, data, tasks, [Task.DETECTION]) if one.measure == "f1")
    assert found.threshold == threshold
    assert found.score.value == pytest.approx(f1_score(is_event[~first], score[~first] >= threshold))
    assert found.windows == (~first).sum()
    assert f"chosen on {len(set(events[first]))} events and scored on the other {len(set(events[~first]))}" in (
        halves_in_words(data)
    )


def test_the_other_half_is_another_seeds(config):
    tasks = [TasksConfig(seed=seed) for seed in (0, 0, 1)]
    halves = [open_tasks(config, one, list(Task)).is_chosen_on.tolist() for one in tasks]
    assert halves[0] == halves[1] != halves[2]


def test_models_stand_beside_each_other_and_differences_are_to_the_first(config):
    tasks = TasksConfig()
    data = open_tasks(config, tasks, list(Task))
    found = score_tasks({"a": picker(), "b": picker(1), "a again": picker()}, data, tasks, list(Task))
    assert [one.model for one in found[:3]] == ["a", "b", "a again"]
    assert len({(one.task, one.measure) for one in found}) == len(found) / 3 == 4 + 2 + 10
    assert all((one.minus_first is None) == (one.model == "a") for one in found)
    assert all(one.minus_first == (0, 0, 0) for one in found if one.model == "a again")


def test_the_test_split_wants_its_opening_and_takes_thresholds_from_all_of_dev(config):
    tasks = TasksConfig()
    with pytest.raises(ValueError, match="the test split is sealed"):
        open_tasks(config, tasks, list(Task), split="test")
    opening = Opening(which_test_split(config), 1)
    test = open_tasks(config, tasks, list(Task), split="test", opening=opening)
    dev = open_tasks(config, tasks, list(Task))
    assert set(test.targets.detection["trace_split"]) == {"test"}
    found = score_tasks({"one": picker()}, test, tasks, list(Task), chosen_on=dev)
    score = answers({"one": picker()}, dev.dataset, dev.targets.detection)["one"].detection
    is_event = (dev.targets.detection["trace_type"] == "earthquake").to_numpy()
    precision, recall, tried = precision_recall_curve(is_event, score)
    f1 = next(one for one in found if one.measure == "f1")
    assert f1.threshold == tried[np.nanargmax(2 * precision * recall / (precision + recall))]
    assert f1.windows == len(test.targets.detection)


def test_what_cannot_be_scored_is_said_with_what_can(tmp_path):
    write_records(tmp_path / "quiet", with_noise=False)
    quiet = DataConfig(dataset=str(tmp_path / "quiet"))
    no_noise = TasksConfig(noise_before_events=False)
    with pytest.raises(ValueError, match="cannot be used for event-detection: no noise in split dev") as raised:
        open_tasks(quiet, no_noise, list(Task))
    assert str(raised.value).endswith("--task phase-identification --task onset-time can be scored")
    assert not (tmp_path / "targets").exists()
    assert open_tasks(quiet, no_noise, [Task.ONSET]).targets.detection["trace_type"].eq("earthquake").all()

    metadata = pd.read_csv(tmp_path / "quiet" / "metadata.csv")
    metadata.drop(columns="trace_Sg_arrival_sample").to_csv(tmp_path / "quiet" / "metadata.csv", index=False)
    with pytest.raises(
        ValueError, match="phase-identification: no S onset in split dev is alone in a window"
    ) as raised:
        open_tasks(quiet, TasksConfig(), list(Task), folder=tmp_path / "targets")
    assert str(raised.value).endswith("; --task event-detection --task onset-time can be scored")
    assert not (tmp_path / "targets").exists(), "nothing is written before it is known that there is work"


def test_a_kind_of_one_event_alone_has_no_threshold(tmp_path):
    write_records(tmp_path / "records", num_traces=60)
    metadata = pd.read_csv(tmp_path / "records" / "metadata.csv")
    is_noise = metadata["source_id"].isna()
    metadata.loc[is_noise, "split"] = "train"
    metadata.loc[is_noise.idxmax(), "split"] = "dev"
    metadata.to_csv(tmp_path / "records" / "metadata.csv", index=False)
    with pytest.raises(ValueError, match="one event alone has noise in split dev; its threshold needs another"):
        open_tasks(DataConfig(dataset=str(tmp_path / "records")), TasksConfig(noise_before_events=False), list(Task))


def test_windows_are_read_where_they_are_and_written_where_not(config, tmp_path):
    tasks = TasksConfig()
    made = open_tasks(config, tasks, list(Task), folder=tmp_path / "targets")
    file = tmp_path / "targets" / "task23.csv"
    pd.read_csv(file).iloc[:-1].to_csv(file, index=False)
    again = open_tasks(config, TasksConfig(seed=5), list(Task), folder=tmp_path / "targets")
    assert len(again.targets.onset) == len(made.targets.onset) - 1
    assert again.targets.detection["start_sample"].tolist() == made.targets.detection["start_sample"].tolist()
