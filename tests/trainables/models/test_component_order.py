from __future__ import annotations

import pytest
import torch

from trainables.models.component_order import _earthquakes, component_order
from trainables.models.teacher import load_phasenet
from trainables.models.xiaonet_public import read_public


def of_energy(vertical: int):
    """A picker that takes for P what moves the component in this place, and for S what moves the others."""

    def probabilities(raw_BXT):
        energy_BXT = torch.nn.functional.avg_pool1d(raw_BXT.square(), 101, 1, 50)
        share_BT = energy_BXT[:, vertical] / energy_BXT.sum(dim=1)
        return torch.stack([share_BT, 1 - share_BT, 0 * share_BT], dim=1)

    return probabilities


def test_the_order_is_that_in_which_p_and_s_are_told_apart():
    assert component_order(of_energy(2), ("ENZ", "ZNE")) == ("ENZ", True)
    assert component_order(of_energy(0), ("ENZ", "ZNE")) == ("ZNE", True)


def test_a_picker_that_knows_nothing_has_the_usual_order():
    assert component_order(lambda raw_BXT: torch.full_like(raw_BXT, 0.3), ("ENZ", "ZNE")) == ("ENZ", False)


def test_the_earthquakes_are_the_same_every_time():
    assert torch.equal(_earthquakes(), _earthquakes())


@pytest.mark.parametrize(("name", "order"), [("teacher_okla_tl", "ZNE"), ("teacher_pn_original", "ENZ")])
@torch.no_grad()
def test_teachers_whose_order_is_known(name, order, shared_data):
    model = load_phasenet(str(shared_data / "real_data/teachers" / name))
    rows = [list(model.labels).index(label) for label in "PSN"]

    def probabilities(raw_BXT):
        return model(model.annotate_batch_pre(raw_BXT, {}))[:, rows]

    assert model.component_order == order
    assert component_order(probabilities, ("ENZ", "ZNE")) == (order, True)


def test_a_state_dict_of_the_repository_in_the_other_order(shared_data, tmp_path, capsys):
    weights = shared_data / "real_data/teachers/teacher_okla_tl.pt.v1"
    torch.save(torch.load(weights, weights_only=True), tmp_path / "best_model.pth")
    assert read_public(tmp_path / "best_model.pth", "best_model.pth").component_order == "ZNE"
    assert "best_model.pth: a PhaseNet that takes Z, N, E, in which it tells P from S" in capsys.readouterr().err
