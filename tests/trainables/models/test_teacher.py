from __future__ import annotations

import numpy as np
import pytest
import torch
from seisbench.models import PhaseNet

from trainables.data.batches import DevWindows
from trainables.data.config import DataConfig
from trainables.data.seal import Opening
from trainables.data.windows import open_store, which_test_split
from trainables.evaluation.picks import PickConfig, PickCounts, count_picks, scores
from trainables.models.teacher import (
    Teacher,
    TeacherConfig,
    TeacherEnsemble,
    load_phasenet,
    load_teacher,
    load_teachers,
)


def test_permutes_components_and_classes(teacher_file):
    teacher = load_teacher(TeacherConfig(weights=str(teacher_file)))
    phasenet = PhaseNet.load(teacher_file, version_str="1").eval()
    raw_BXT = torch.randn(2, 3, 3001) * 1000
    with torch.no_grad():
        expected_BCT = phasenet(phasenet.annotate_batch_pre(raw_BXT.flip(1), {}), logits=True)
    torch.testing.assert_close(teacher(raw_BXT), expected_BCT[:, [1, 2, 0]])


def test_is_frozen_and_stays_in_eval_mode(teacher_file):
    teacher = load_teacher(TeacherConfig(weights=str(teacher_file)))
    teacher.train()
    assert not any(module.training for module in teacher.modules())
    assert not any(parameter.requires_grad for parameter in teacher.parameters())
    assert not teacher(torch.randn(1, 3, 3001)).requires_grad


def test_several_teachers_are_frozen_and_one_alone_is_itself(teacher_file):
    both = load_teachers([str(teacher_file), str(teacher_file)])
    both.train()
    assert not any(module.training for module in both.modules())
    assert not any(parameter.requires_grad for parameter in both.parameters())
    raw_BXT = torch.randn(2, 3, 3001) * 1000
    alone = load_teachers([str(teacher_file)])
    assert torch.equal(alone(raw_BXT), load_teacher(TeacherConfig(weights=str(teacher_file)))(raw_BXT))
    torch.testing.assert_close(both(raw_BXT).softmax(1), alone(raw_BXT).softmax(1))


def test_the_mean_of_real_teachers_is_the_mean_of_their_probabilities(shared_data, tmp_path):
    """One has its components and classes in another order and another normalisation."""
    names = [str(shared_data / "real_data" / "teachers" / name) for name in ("teacher_pn_original", "teacher_okla_tl")]
    config = DataConfig(
        dataset=str(shared_data / "real_data" / "phasenet_nc_a"), cache_dir=tmp_path, dev_windows_per_trace=1
    )
    batch, _ = next(iter(DevWindows(open_store(config, "dev"), config).batches(4)))
    of_each = []
    for name in names:
        phasenet = load_phasenet(name, field="teachers").eval()
        order = ["ENZ".index(component) for component in phasenet.component_order]
        with torch.no_grad():
            answer_BCT = phasenet(phasenet.annotate_batch_pre(batch.raw_BXT[:, order], {}))
        of_each.append(answer_BCT[:, [list(phasenet.labels).index(label) for label in "PSN"]])
    expected_BCT = torch.stack(of_each).mean(dim=0)
    both = load_teachers(names)
    assert isinstance(both, TeacherEnsemble)
    torch.testing.assert_close(both(batch.raw_BXT).softmax(1), expected_BCT, atol=1e-5, rtol=1e-4)
    assert (of_each[0] - of_each[1]).abs().max() > 0.5, "the two do not say the same"


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"phases": "NPX"}, "labels N, P, X"),
        ({"component_order": "Z12"}, "components Z12"),
        ({"sampling_rate": 50}, "50 Hz, not 100 Hz"),
    ],
)
def test_a_phasenet_that_cannot_teach_is_refused_in_one_line(tmp_path, options, problem):
    PhaseNet(**({"phases": "NPS"} | options)).save(tmp_path / "other", version_str="1")
    with pytest.raises(ValueError, match=problem) as error:
        load_phasenet(str(tmp_path / "other"), field="teacher.weights")
    assert "\n" not in str(error.value)


def best_f1(teacher: Teacher, config: DataConfig) -> np.ndarray:
    """P and S F1 at the best thresholds on one window of each of the 106 records, mean of 5 draws."""
    opening = Opening(which_test_split(config), 1)
    stores = [open_store(config, split, opening) for split in ("train", "dev", "test")]
    of_draws = []
    for seed in range(5):
        counts = PickCounts.zeros()
        for store in stores:
            for batch, arrivals in DevWindows(store, config, seed=seed).batches(64):
                counts += count_picks(teacher(batch.raw_BXT).softmax(1), arrivals, PickConfig())
        found = scores(counts)
        of_draws.append([found["dev/p_f1"], found["dev/s_f1"]])
    return np.mean(of_draws, axis=0)


@pytest.mark.parametrize(
    ("name", "least_p_f1", "least_s_f1"), [("teacher_pn_original", 0.94, 0.94), ("teacher_okla_tl", 0.91, 0.82)]
)
def test_real_teachers_pick_real_records(shared_data, tmp_path, name, least_p_f1, least_s_f1):
    config = DataConfig(
        dataset=str(shared_data / "real_data" / "phasenet_nc_a"), cache_dir=tmp_path, dev_windows_per_trace=1
    )
    teacher = load_teacher(TeacherConfig(weights=str(shared_data / "real_data" / "teachers" / name)))
    p_f1, s_f1 = best_f1(teacher, config)
    assert p_f1 >= least_p_f1
    assert s_f1 >= least_s_f1

    if name == "teacher_okla_tl":  # its order is Z, N, E: without the permutation it cannot reach these
        teacher.picker.component_index = torch.arange(3)
        unpermuted_p_f1, unpermuted_s_f1 = best_f1(teacher, config)
        assert unpermuted_p_f1 < least_p_f1
        assert unpermuted_s_f1 < least_s_f1
