from __future__ import annotations

import pytest
import torch
from gloo_workers import train_together
from seisbench.models import EQTransformer, PhaseNet

from trainables import metrics
from trainables.data.batches import Batch, DevWindows
from trainables.data.windows import open_store
from trainables.distillation import (
    DistillationConfig,
    DistillationLossConfig,
    check_roles,
    distillation_losses,
    preflight,
    train,
)
from trainables.evaluation.bootstrap import f1_interval
from trainables.evaluation.counts import COUNTS_FILE, MISTAKEN, read_counts
from trainables.evaluation.picks import PickCounts, count_picks, scores
from trainables.models.teacher import TeacherConfig, load_teacher, load_teachers
from trainables.models.xiaonet import XiaoNet
from trainables.run import LocalRun, read_tags
from trainables.training.config import TrainingConfig
from trainables.training.losses import softened_curves_divergence
from trainables.training.state import fresh_state

LOSSES = [metrics.TRAIN_LOSS, metrics.TASK_LOSS, metrics.DISTILL_LOSS, metrics.DEV_LOSS, metrics.DEV_F1]


class KilledError(Exception):
    """Stands for a killed process."""


class InterruptedRun(LocalRun):
    """Dies after the report of epoch 2 has been kept."""

    def report(self, values, checkpoint=None):
        super().report(values, checkpoint)
        if values[metrics.EPOCH] == 2:
            raise KilledError


@pytest.fixture
def teacher(teacher_file):
    return load_teacher(TeacherConfig(weights=str(teacher_file)))


@pytest.fixture
def batch() -> Batch:
    raw_BXT = torch.randn(2, 3, 3001) * 100
    return Batch(raw_BXT, raw_BXT / 300, torch.rand(2, 3, 3001).softmax(1))


def test_alpha_is_the_teachers_share(teacher, batch):
    student_BCT = torch.randn(2, 3, 3001)
    given = distillation_losses(student_BCT, batch, teacher, DistillationLossConfig(alpha=0.25))
    expected = 0.25 * given[metrics.DISTILL_LOSS] + 0.75 * given[metrics.TASK_LOSS]
    torch.testing.assert_close(given[metrics.TRAIN_LOSS], expected)


def test_without_a_share_the_teacher_is_not_asked(batch):
    given = distillation_losses(torch.randn(2, 3, 3001), batch, None, DistillationLossConfig(alpha=0))
    assert given[metrics.TRAIN_LOSS] is given[metrics.TASK_LOSS]
    assert metrics.DISTILL_LOSS not in given


def test_a_student_that_answers_as_the_teacher_has_no_distillation_loss(teacher, batch):
    given = distillation_losses(teacher(batch.raw_BXT), batch, teacher, DistillationLossConfig(alpha=1))
    assert given[metrics.TRAIN_LOSS].item() == pytest.approx(0, abs=1e-5)


@pytest.fixture
def second_teacher_file(tmp_path):
    torch.manual_seed(1)
    PhaseNet(phases="PSN", component_order="ENZ", norm="peak").save(tmp_path / "second", version_str="1")
    return tmp_path / "second"


def test_several_teachers_are_averaged_before_they_are_softened(teacher, teacher_file, second_teacher_file, batch):
    both = load_teachers([str(teacher_file), str(second_teacher_file)])
    second = load_teacher(TeacherConfig(weights=str(second_teacher_file)))
    mean_BCT = (teacher(batch.raw_BXT).softmax(1) + second(batch.raw_BXT).softmax(1)) / 2
    softened_BCT = mean_BCT ** (1 / 3) / (mean_BCT ** (1 / 3)).sum(dim=1, keepdim=True)
    student_BCT = torch.randn(2, 3, 3001)
    log_student_BCT = (student_BCT / 3).log_softmax(dim=1)
    divergence = (softened_BCT * (softened_BCT.log() - log_student_BCT)).sum(dim=1).mean()
    given = distillation_losses(student_BCT, batch, both, DistillationLossConfig(alpha=1, temperature=3))
    assert given[metrics.DISTILL_LOSS].item() == pytest.approx(9 * divergence.item(), rel=1e-4)


def test_a_list_of_one_teacher_trains_as_that_teacher(tiny, teacher_file, tmp_path):
    training = {"training": tiny["training"] | {"epochs": 1}}
    alone, listed = LocalRun(tmp_path / "alone"), LocalRun(tmp_path / "listed")
    train(DistillationConfig.model_validate(tiny | training), alone)
    train(DistillationConfig.model_validate(tiny | training | {"teacher": {}, "teachers": [str(teacher_file)]}), listed)
    assert {name: alone.reports[0][name] for name in LOSSES} == {name: listed.reports[0][name] for name in LOSSES}


def test_every_teacher_of_a_list_is_checked_and_on_the_record(tiny, teacher_file, second_teacher_file):
    several = tiny | {"teacher": {}, "teachers": [str(teacher_file), str(second_teacher_file)]}
    facts = preflight(DistillationConfig.model_validate(several))
    alone = preflight(DistillationConfig.model_validate(tiny))["teacher_digest"]
    assert facts["teacher"] == f"{teacher_file}, {second_teacher_file}"
    first, second = facts["teacher_digest"].split(", ")
    assert first == alone != second
    missing = tiny | {"teacher": {}, "teachers": [str(teacher_file), "/no/such"]}
    with pytest.raises(ValueError, match=r"^teachers=/no/such: no such weights"):
        preflight(DistillationConfig.model_validate(missing))


def test_a_trial_learns_the_same_whether_it_asks_its_teacher_or_reads_what_another_asked(tiny, tmp_path):
    data = tiny["data"] | {"cache_dir": str(tmp_path / "cache")}
    # Answers that are kept are computed in float32; a teacher that is asked in bfloat16 says something else.
    asking = tiny | {"data": data, "training": tiny["training"] | {"epochs": 2, "precision": "fp32"}}
    keeping = asking | {"teacher": tiny["teacher"] | {"outputs_gb": 1}}
    runs = [LocalRun(tmp_path / name) for name in ("asks each time", "asks first", "reads")]
    for run, settings in zip(runs, (asking, keeping, keeping), strict=True):
        train(DistillationConfig.model_validate(settings), run)
        blocks = {file: file.stat().st_ino for file in (tmp_path / "cache").rglob("*.answers")}
        if run is runs[1]:
            written = blocks
    assert written == blocks, "the third reads them and writes none"
    assert sum(file.stat().st_size for file in blocks) == 2 * 3 * 8 * (8 + 2 * 2 * 3001)
    expected, first, later = (
        [[report[name] for name in (metrics.TRAIN_LOSS, metrics.DISTILL_LOSS)] for report in run.reports[:2]]
        for run in runs
    )
    assert first == later, "it does not matter who was there before"
    assert first == [pytest.approx(losses, rel=2e-3) for losses in expected], "rounding, which grows from step to step"


@pytest.mark.parametrize(
    ("teachers", "complaint"),
    [(["stead"], "teachers and teacher.weights are both given"), (["stead", "stead"], "one is given twice")],
)
def test_teachers_are_named_in_one_way(tiny, teachers, complaint):
    teacher = tiny["teacher"] if len(teachers) == 1 else {}
    with pytest.raises(ValueError, match=complaint):
        DistillationConfig.model_validate(tiny | {"teacher": teacher, "teachers": teachers})


def test_roles_are_checked(teacher):
    state = fresh_state(XiaoNet(base_channels=4), TrainingConfig())
    check_roles(state, teacher, torch.device("cpu"))
    state.optimizer.add_param_group({"params": list(teacher.parameters())})
    with pytest.raises(AssertionError, match="would be trained"):
        check_roles(state, teacher, torch.device("cpu"))
    teacher.requires_grad_(True)
    with pytest.raises(AssertionError, match="not frozen"):
        check_roles(state, teacher, torch.device("cpu"))


# Teachers and students of other architectures.


@pytest.fixture
def eqtransformer_file(tmp_path):
    torch.manual_seed(0)
    EQTransformer(lstm_blocks=1).save(tmp_path / "eqt", version_str="1")
    return tmp_path / "eqt"


def test_an_eqtransformer_teaches_a_xiaonet(tiny, eqtransformer_file, tmp_path):
    taught_by = tiny | {"teacher": {"weights": str(eqtransformer_file)}}
    training = {"training": tiny["training"] | {"epochs": 2, "steps_per_epoch": 2, "batch_size": 4}}
    config = DistillationConfig.model_validate(taught_by | training)
    facts = preflight(config)
    assert facts["teacher"] == str(eqtransformer_file)
    train(config, run := LocalRun(tmp_path))
    assert all(0 < report[metrics.DISTILL_LOSS] < 10 for report in run.reports[:-1])
    assert "teacher/f1" in run.reports[0]


@pytest.mark.parametrize(
    "student",
    [
        {"architecture": "eqtransformer", "arguments": {"in_samples": 4000, "lstm_blocks": 1}},
        {"architecture": "own_networks:Small", "arguments": {"width": 4}},
        {"architecture": "own_networks:Curves"},
    ],
)
def test_a_phasenet_teaches_any_student(tiny, student, tmp_path):
    training = {"training": tiny["training"] | {"epochs": 1, "steps_per_epoch": 2, "batch_size": 4}}
    config = DistillationConfig.model_validate(tiny | training | {"student": student})
    preflight(config)
    train(config, run := LocalRun(tmp_path))
    assert 0 < run.reports[0][metrics.DISTILL_LOSS] < 10


def test_sizes_of_a_xiaonet_are_refused_for_another_student(tiny):
    student = {"student": {"architecture": "phasenetlight", "base_channels": 4}}
    with pytest.raises(
        ValueError, match=r"student\.base_channels is a setting of xiaonet, and student\.architecture is"
    ):
        DistillationConfig.model_validate(tiny | student)


def test_curves_that_answer_as_the_teachers_have_no_distillation_loss():
    curves = torch.randn(2, 3, 50)
    assert softened_curves_divergence(curves, curves, 3.0).item() == pytest.approx(0, abs=1e-6)
    p, q = torch.tensor(0.8), torch.tensor(0.3)
    by_hand = p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()
    student_BCT, teacher_BCT = (x.logit().expand(1, 1, 10) for x in (q, p))
    assert softened_curves_divergence(student_BCT, teacher_BCT, 1.0).item() == pytest.approx(by_hand.item(), rel=1e-5)


def test_reports_every_epoch_and_ends_with_the_best_weights(tiny, tmp_path):
    run = LocalRun(tmp_path)
    train(DistillationConfig.model_validate(tiny), run)
    *epochs, final = run.reports
    assert [report[metrics.EPOCH] for report in epochs] == [1, 2, 3]
    assert all(set(LOSSES) <= set(report) for report in epochs)
    assert [report[metrics.FINAL] for report in run.reports] == [0, 0, 0, 1]
    best = max(epochs, key=lambda report: report[metrics.DEV_F1])
    scores_so_far = [[report[metrics.DEV_F1] for report in epochs[: epoch + 1]] for epoch in range(3)]
    assert [report[metrics.BEST_EPOCH] for report in epochs] == [so.index(max(so)) + 1 for so in scores_so_far]
    assert final[metrics.DEV_F1] == best[metrics.DEV_F1]
    assert final[metrics.EPOCH] == 3
    assert metrics.INT8_BYTES in epochs[0]


def test_interrupted_and_resumed_equals_uninterrupted_loss_by_loss(tiny, tmp_path):
    config = DistillationConfig.model_validate(tiny | {"student": {"base_channels": 4, "pooling": 4, "dropout": 0.2}})
    whole = LocalRun(tmp_path / "whole")
    train(config, whole)

    first = InterruptedRun(tmp_path / "halves")
    with pytest.raises(KilledError):
        train(config, first)
    torch.manual_seed(12345)  # nothing may hang on what this process drew before
    second = LocalRun(tmp_path / "halves")
    train(config, second)

    resumed = first.reports + second.reports
    assert [report[metrics.EPOCH] for report in second.reports] == [3, 3]
    for one, other in zip(whole.reports, resumed, strict=True):
        assert {name: one[name] for name in LOSSES if name in one} == {
            name: other[name] for name in LOSSES if name in other
        }


def test_a_diverging_loss_is_an_error_that_names_the_rate(tiny, tmp_path):
    config = DistillationConfig.model_validate(
        tiny | {"training": tiny["training"] | {"learning_rate": 1.0, "gradient_clip": 1e30, "epochs": 30}}
    )
    model = XiaoNet(base_channels=4, pooling=4)
    with torch.no_grad():
        model.head.weight.fill_(float("nan"))
    state = fresh_state(model, config.training)
    LocalRun(tmp_path).report({}, state.save(tmp_path / "broken"))
    with pytest.raises(FloatingPointError, match=r"loss is nan in epoch 1: lower training\.learning_rate"):
        train(config, LocalRun(tmp_path))


def test_preflight_gives_facts_of_data_and_teacher(tiny):
    facts = preflight(DistillationConfig.model_validate(tiny))
    assert set(facts) == {
        "dataset",
        "data_fingerprint",
        "events_in_two_splits",
        "traces",
        "teacher",
        "teacher_digest",
    }


def test_preflight_refuses_a_missing_teacher(tiny, tmp_path):
    config = DistillationConfig.model_validate(tiny | {"teacher": {"weights": str(tmp_path / "none")}})
    with pytest.raises(ValueError, match=r"^teacher\.weights=.*no such weights"):
        preflight(config)


def test_finished_run_leaves_files_for_people(tiny, tmp_path):
    run = LocalRun(tmp_path)
    train(DistillationConfig.model_validate(tiny | {"export": {"calibration_windows": 8}}), run)
    files = {file.name for file in (run.checkpoint / "artifacts").iterdir()}
    assert {"model_fp32.onnx", "model_int8.onnx", "xiaonet.json.v1", "xiaonet.pt.v1", "training_history.png"} <= files
    final = run.reports[-1]
    assert final[metrics.INT8_BYTES] < final[metrics.FP32_BYTES]
    assert final[metrics.INT8_F1_LOSS] == pytest.approx(final[metrics.FP32_F1] - final[metrics.INT8_F1])
    assert read_tags(run.checkpoint)


@pytest.mark.parametrize("is_exported", [True, False])
def test_finished_run_leaves_counts_by_event_from_which_its_scores_and_their_intervals_follow(
    tiny, tmp_path, is_exported
):
    run = LocalRun(tmp_path)
    export = {"enabled": is_exported, "calibration_windows": 8}
    train(DistillationConfig.model_validate(tiny | {"export": export}), run)
    counts, final = read_counts(run.checkpoint / "artifacts" / COUNTS_FILE), run.reports[-1]
    mistaken = counts.pop(MISTAKEN.format("dev"))
    for name in ("dev/s_picks_on_p_share", "dev/p_picks_on_s_share"):
        share = mistaken.only(name.partition("/")[2])
        assert share.f1() == pytest.approx(final[name])
        assert (final[f"{name}_low"], final[f"{name}_high"]) == f1_interval(share)
    assert set(counts) == ({"dev", "teacher", "fp32", "int8"} if is_exported else {"dev", "teacher"})
    for name, of_model in counts.items():
        assert of_model.f1() == pytest.approx(final[f"{name}/f1"])
        assert of_model.f1("S") == pytest.approx(final[f"{name}/s_f1"])
        assert (final[f"{name}/f1_low"], final[f"{name}/f1_high"]) == f1_interval(of_model)
    assert "dev/f1_low" not in run.reports[0]


def test_the_teachers_own_scores_stand_beside_its_students(tiny, teacher, tmp_path):
    config = DistillationConfig.model_validate(tiny)
    run = LocalRun(tmp_path)
    train(config, run)
    dev, counts = DevWindows(open_store(config.data, "dev"), config.data), PickCounts.zeros()
    with torch.no_grad():
        for batch, arrivals in dev.batches(16):
            counts += count_picks(teacher(batch.raw_BXT).softmax(dim=1), arrivals, config.picks)
    expected = scores(counts, split="teacher")
    for report in run.reports:
        for name in ("teacher/f1", "teacher/p_f1", "teacher/s_f1"):
            assert report[name] == pytest.approx(expected[name])
        assert report["teacher/f1_low"] <= report["teacher/f1"] <= report["teacher/f1_high"]


def test_the_teacher_is_scored_once_for_all_trials(tiny, tmp_path, monkeypatch):
    config = DistillationConfig.model_validate(tiny)
    train(config, LocalRun(tmp_path / "first"))
    monkeypatch.setattr("trainables.evaluation.teacher._count", None)
    train(config, second := LocalRun(tmp_path / "second"))
    assert "teacher/f1" in second.reports[0]


@pytest.mark.integration
def test_two_workers_distil_like_one_with_the_joint_batch(tiny, tmp_path):
    """Group normalisation, no dropout: nothing in a step depends on how the batch is cut."""
    precise = {"training": tiny["training"] | {"precision": "fp32"}, "export": {"enabled": False}}
    student = {"student": {"base_channels": 4, "pooling": 4, "norm": "group", "dropout": 0.0}}
    config = DistillationConfig.model_validate(tiny | precise | student)
    train(config, one := LocalRun(tmp_path / "one"))
    two = train_together(train, config, tmp_path / "two")
    assert len(two) == len(one.reports) > 1
    for of_two, of_one in zip(two[:-1], one.reports[:-1], strict=True):
        assert [of_two[name] for name in LOSSES] == pytest.approx([of_one[name] for name in LOSSES], abs=1e-6)


def test_a_second_teacher_is_asked_about_streams_and_is_another_one(tiny, teacher_file, second_teacher_file):
    second = {"second_teacher": {"weights": str(second_teacher_file)}}
    with pytest.raises(ValueError, match=r"given without data\.streams"):
        DistillationConfig.model_validate(tiny | second)
    streams = tiny | {"data": tiny["data"] | {"streams": "archive"}}
    assert DistillationConfig.model_validate(streams | second).second_teacher.weights
    with pytest.raises(ValueError, match="is the teacher: give another one"):
        DistillationConfig.model_validate(streams | {"second_teacher": {"weights": str(teacher_file)}})
