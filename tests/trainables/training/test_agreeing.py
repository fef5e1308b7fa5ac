"""A student of streams is held against its teacher in the final report."""

from __future__ import annotations

import pytest
import torch
from recorded import lively_teacher, write_network
from seisbench.models import PhaseNet

from trainables.distillation import DistillationConfig, train
from trainables.models.adapters import XiaoNetAdapter
from trainables.run import LocalRun


@pytest.fixture(scope="module")
def on_streams(tmp_path_factory):
    """Settings of streams and of a teacher who picks in them."""
    folder = tmp_path_factory.mktemp("streams")
    picker = lively_teacher().picker
    assert isinstance(picker, XiaoNetAdapter)
    picker.xiaonet.save(folder / "lively", version_str="1")
    data = {"streams": str(write_network(folder / "archive")), "streams_threshold": 0.4, "cache_dir": str(folder / "c")}
    return {"data": data, "teacher": {"weights": str(folder / "lively")}}


@pytest.fixture
def short(tiny, on_streams):
    """One step on streams alone."""
    return tiny | on_streams | {"training": tiny["training"] | {"epochs": 1, "steps_per_epoch": 1}}


def reports(settings, folder):
    train(DistillationConfig.model_validate(settings), run := LocalRun(folder))
    return run.reports


def test_agreement_is_in_the_final_report_with_its_interval_and_without_labels_it_is_devs_own_score(short, tmp_path):
    epoch, final = reports(short, tmp_path)
    assert not [name for name in epoch if name.startswith("agreement/")]
    assert final["agreement/f1_low"] <= final["agreement/f1"] <= final["agreement/f1_high"]
    assert final["agreement/f1"] == pytest.approx(final["dev/f1"])


def test_a_student_of_labelled_records_alone_is_held_against_the_teacher_too(tiny, short, tmp_path):
    beside = {"dataset": tiny["data"]["dataset"], "streams_share": 0, "dev_windows_per_trace": 1}
    epoch, final = reports(short | {"data": short["data"] | beside}, tmp_path)
    assert "dev/f1" in epoch
    assert {"agreement/f1", "agreement/p_f1", "agreement/s_f1"} <= final.keys()


def test_with_a_second_teacher_what_both_pick_is_the_reference(short, tmp_path):
    torch.manual_seed(1)
    PhaseNet(phases="PSN", component_order="ENZ", norm="peak").save(tmp_path / "second", version_str="1")
    alone = reports(short, tmp_path / "alone")[-1]
    both = reports(short | {"second_teacher": {"weights": str(tmp_path / "second")}}, tmp_path / "both")[-1]
    assert both["dev/f1"] == alone["dev/f1"]
    assert both["agreement/p_picks"] < alone["agreement/p_picks"]
    assert both["agreement/picks_of_one_teacher"] > 0
