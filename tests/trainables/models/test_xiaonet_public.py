"""State dicts of the public XiaoNet repository: which network, in which order, and what is said of anything else."""

# B batch, C class, X component, T time sample

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from seisbench.models import EQTransformer, PhaseNet, PhaseNetLight
from torch import Tensor, nn

from trainables.models.adapters import V5BAdapter
from trainables.models.architectures import load_picker
from trainables.models.teacher import Teacher, for_student
from trainables.models.v5b import XiaoNetV5B
from trainables.models.weights import load_weights, weights_digest
from trainables.models.xiaonet import XiaoNet
from trainables.models.xiaonet_public import HEIGHT, read_public, write_public


@pytest.mark.parametrize("kind", [PhaseNet, PhaseNetLight])
@pytest.mark.parametrize("is_nested", [False, True])
def test_a_phasenet_is_told_by_its_tensors(kind, is_nested, tmp_path, capsys):
    state = kind(phases="PSN").state_dict()
    torch.save({"model_state_dict": state, "epoch": 3, "val_loss": 0.1} if is_nested else state, tmp_path / "a.pth")
    model = load_picker(str(tmp_path / "a.pth")).network
    assert type(model) is kind
    assert (model.component_order, "".join(model.labels)) == ("ENZ", "PSN")
    assert (model.norm, model.norm_detrend, model.in_samples) == ("peak", True, 3001)
    assert model.default_args["P_threshold"] == HEIGHT
    assert not model.training
    assert all(torch.equal(model.state_dict()[name], tensor) for name, tensor in state.items())
    assert f"a.pth: a {kind.__name__} that takes E, N, Z, as most there do" in capsys.readouterr().err


def test_v5b_has_the_parameters_of_the_public_one_and_answers_with_curves(tmp_path):
    torch.manual_seed(0)
    model = XiaoNetV5B().eval()
    assert sum(parameter.numel() for parameter in model.parameters()) == 20_208
    torch.save({"model_state_dict": model.state_dict(), "config": {"training": {"epochs": 50}}}, tmp_path / "V5B.pth")
    picker = load_picker(str(tmp_path / "V5B.pth"))
    assert isinstance(picker, V5BAdapter)
    assert (picker.interface.classes, picker.interface.window_samples) == ("PS", 3001)
    raw_BXT = torch.randn(2, 3, 3001)
    with torch.no_grad():
        answer_BCT = model(model.annotate_batch_pre(raw_BXT, {}))
        torch.testing.assert_close(picker(raw_BXT).sigmoid(), answer_BCT[:, :2])
        taught_BCT = for_student(Teacher(picker), XiaoNet(base_channels=2).interface)(raw_BXT)
    assert taught_BCT.shape == (2, 3, 3001), "as a teacher of a student with one distribution"
    assert answer_BCT.sum(dim=1).max() > 1.01, "three sigmoids"


@pytest.mark.parametrize("base_channels", [4, 7])
def test_v5b_of_another_width_is_read_by_its_shapes(base_channels, tmp_path):
    torch.save(XiaoNetV5B(base_channels=base_channels).state_dict(), tmp_path / "a.pt")
    network = load_picker(str(tmp_path / "a.pt")).network
    assert isinstance(network, XiaoNetV5B)
    assert network.base_channels == base_channels


class _First(nn.Module):
    """The first XiaoNet, as its repository describes it."""

    def __init__(self, base: int) -> None:
        super().__init__()
        self.enc1, self.enc2, self.enc3 = _double(3, base), _double(base, 2 * base), _double(2 * base, 4 * base)
        self.bottleneck = _double(4 * base, 8 * base)
        self.dec3, self.dec2 = _double(12 * base, 4 * base), _double(6 * base, 2 * base)
        self.dec1, self.output = _double(3 * base, base), nn.Conv1d(base, 3, 1)

    def forward(self, x_BXT: Tensor) -> Tensor:
        one = self.enc1(x_BXT[..., :3000])
        two = self.enc2(F.max_pool1d(one, 2))
        three = self.enc3(F.max_pool1d(two, 2))
        y = self.bottleneck(F.max_pool1d(three, 2))
        for decoder, skip in ((self.dec3, three), (self.dec2, two), (self.dec1, one)):
            y = decoder(torch.cat([F.interpolate(y, scale_factor=2.0), skip], dim=1))
        return F.pad(self.output(y).softmax(dim=1), (0, 1))


def _double(inputs: int, outputs: int) -> nn.Sequential:
    layers = [nn.Conv1d(inputs, outputs, 3, padding=1), nn.BatchNorm1d(outputs), nn.ReLU()]
    return nn.Sequential(*layers, nn.Conv1d(outputs, outputs, 3, padding=1), nn.BatchNorm1d(outputs), nn.ReLU())


def test_the_first_xiaonet_is_ours_with_pooling_2(tmp_path):
    torch.manual_seed(0)
    first = _First(base=4)
    with torch.no_grad():
        first.train()(torch.randn(4, 3, 3001))  # running statistics that matter
    torch.save(first.eval().state_dict(), tmp_path / "best_model.pth")
    ours = load_weights(XiaoNet, str(tmp_path / "best_model.pth"))
    x_BXT = torch.randn(2, 3, 3001)
    with torch.no_grad():
        torch.testing.assert_close(ours(x_BXT)[..., :3000], first(x_BXT)[..., :3000], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    "model",
    [
        XiaoNet(base_channels=2, pooling=4),
        XiaoNetV5B(base_channels=2, output="softmax"),
        PhaseNet(phases="NPS", component_order="ZNE", norm="std"),
        EQTransformer(in_samples=768, lstm_blocks=1),
    ],
)
def test_a_file_of_ours_says_more_than_its_tensors(model, tmp_path):
    write_public(tmp_path / "checkpoint.pt", model, {"P": 0.35, "S": 0.2})
    again = read_public(tmp_path / "checkpoint.pt", "checkpoint.pt")
    assert weights_digest(again) == weights_digest(model)
    given, found = model.get_model_args(), again.get_model_args()
    assert {key: found[key] for key in given if key != "default_args"} == {
        key: value for key, value in given.items() if key != "default_args"
    }
    assert (again.default_args["P_threshold"], again.default_args["S_threshold"]) == (0.35, 0.2)


def _linear() -> dict[str, Tensor]:
    return nn.Linear(3, 4).state_dict()


@pytest.mark.parametrize(
    ("held", "looks"),
    [
        (_linear(), r"holds 2 entries, weight \(4, 3\), bias \(4\)"),
        ({}, "holds nothing"),
        (torch.zeros(2), "holds a Tensor, not a state dict"),
        (nn.Linear(3, 4), r"not a state dict \(it holds more than tensors\)"),
        ({"model_state_dict": _linear(), "epoch": 1}, r"holds 2 entries, weight \(4, 3\)"),
        ({"enc1.0.weight": torch.zeros(16, 3, 7)}, r"enc1\.0\.weight \(16, 3, 7\), and .* have no counterpart"),
        ({"epoch": 1, "lr": 0.1}, r"holds 2 entries, epoch \(a int\), lr \(a float\)"),
        ({"inc.weight": torch.zeros(8, 3, 7), "down_branch.0.0.weight": torch.zeros(8, 8, 7)}, "of a PhaseNet have no"),
        ({"multi_scale.path1.0.depthwise.weight": torch.zeros(1)}, "of which no network can be made"),
    ],
)
def test_a_file_of_something_else_is_one_line(held, looks, tmp_path):
    torch.save(held, tmp_path / "a.pth")
    with pytest.raises(ValueError, match=rf"^teacher\.weights=\S+a\.pth: .*{looks}.*; expected is a PhaseNet") as error:
        load_picker(str(tmp_path / "a.pth"), "teacher.weights")
    assert "\n" not in str(error.value)


def test_a_file_that_torch_has_not_written_and_a_network_of_ones_own(tmp_path):
    (tmp_path / "a.pth").write_text("hello")
    with pytest.raises(ValueError, match=r"not a state dict \(torch cannot read it\)"):
        load_picker(str(tmp_path / "a.pth"))
    torch.save({"architecture": "mine:Net", "arguments": {}, "state_dict": _linear()}, tmp_path / "network.pt")
    with pytest.raises(ValueError, match="the weights of a network of your own, mine:Net: name it in the setting"):
        load_picker(str(tmp_path / "network.pt"))


def test_weights_of_another_architecture_than_named(tmp_path):
    torch.save(XiaoNetV5B().state_dict(), tmp_path / "a.pth")
    with pytest.raises(ValueError, match="the weights of a XiaoNetV5B, not of a PhaseNet"):
        load_picker(str(tmp_path / "a.pth"), "teacher.weights", "phasenet")


def test_code_in_a_file_does_not_run(tmp_path):
    class Payload:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    torch.save({"inc.weight": Payload()}, tmp_path / "a.pth")
    with pytest.raises(ValueError, match="it holds more than tensors"):
        load_picker(str(tmp_path / "a.pth"))
    assert not (tmp_path / "ran").exists()
