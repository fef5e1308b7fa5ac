from __future__ import annotations

import pytest
import torch

from trainables.models.architectures import build, parts_of
from trainables.models.own_network import build_own, load_own, probe, save_own
from trainables.models.weights import weights_digest
from trainables.models.xiaonet import StudentConfig


def test_states_of_itself_what_a_caller_must_know():
    picker = build_own("own_networks:Small", {"width": 4})
    assert (picker.interface.window_samples, picker.interface.classes) == (512, "PSN")
    assert picker.interface.steps == ("demean", "detrend", "std")
    assert picker.interface.metadata()["normalisation_steps"] == "demean detrend std"
    probe(picker)
    assert parts_of("own_networks:Small", picker, "encoder") == {"encoder": ("own.down",), "backbone": ("own.middle",)}


def test_components_and_classes_are_brought_into_order():
    picker = build_own("own_networks:Small", {})
    window_BXT = torch.randn(2, 3, 512)
    expected_BCT = picker.own(window_BXT.flip(1))
    torch.testing.assert_close(picker.core(window_BXT), expected_BCT[:, [1, 2, 0]])
    curves = build_own("own_networks:Curves", {})
    assert curves.interface.classes == "PSD"
    torch.testing.assert_close(curves.core(window_BXT), curves.own(window_BXT.flip(1))[:, [1, 2, 0]])


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("no_such_module:Net", r"cannot be loaded: No module named 'no_such_module'"),
        ("own_networks:Nothing", r"cannot be loaded: module 'own_networks' has no attribute 'Nothing'"),
        ("own_networks:no_class", r"a int, not a class of torch\.nn\.Module"),
        ("own_networks:POnly", r"classes = 'PN' is not allowed: P, S and N in some order"),
        ("own_networks:Median", r"normalisation = 'median' is not allowed: one of peak, std"),
        ("own_networks:FewSamples", r"window_samples = 10 is not allowed: a whole number, 100 to 60000"),
        ("own_networks:Vertical", r"component_order = 'Z' is not allowed: E, N and Z in some order"),
        ("own_networks:Short", r"answers \(2, 3, 127\) to windows \(2, 3, 128\), not \(2, 3, 128\)"),
        ("own_networks:DividesByStd", r"answers NaN to windows of zeros, in training \(2, 3, 128\)"),
        ("own_networks:Softmax", r"it answers with probabilities; leave its softmax out"),
        ("own_networks:Detached", r"no gradient comes back through it"),
        ("own_networks:Pair", r"answers with a tuple, not with one tensor \(2, 3, 128\) of logits"),
        ("own_networks:Crashes", r"fails on random windows, in training \(2, 3, 128\): RuntimeError: out of$"),
    ],
)
def test_what_cannot_be_trained_is_said_in_one_line(name, problem):
    with pytest.raises(ValueError, match=problem) as error:
        probe(build_own(name, {}))
    assert "\n" not in str(error.value)
    assert str(error.value).startswith("model.architecture")


def test_wrong_arguments_are_said_in_one_line():
    with pytest.raises(ValueError, match=r"cannot be made with depth=3: TypeError: .*unexpected keyword argument"):
        build_own("own_networks:Small", {"depth": 3})


def test_probing_changes_neither_weights_nor_random_numbers():
    picker = build_own("own_networks:Small", {})
    before = weights_digest(picker)
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    probe(picker)
    assert torch.equal(torch.rand(1), expected)
    assert weights_digest(picker) == before
    assert all(parameter.grad is None for parameter in picker.parameters())


def test_weights_come_back_with_the_arguments(tmp_path):
    picker = build_own("own_networks:Small", {"width": 5})
    save_own(picker, tmp_path, "a test")
    for weights in (tmp_path, tmp_path / "network.pt"):
        again = build("own_networks:Small", {}, StudentConfig(), str(weights))
        assert weights_digest(again) == weights_digest(picker)
    with pytest.raises(ValueError, match=r"^model\.pretrained=.*these are not weights of own_networks:Deeper"):
        load_own("own_networks:Deeper", str(tmp_path), "model.pretrained")
    with pytest.raises(ValueError, match=r"^model\.pretrained=/no/such: no such weights"):
        load_own("own_networks:Small", "/no/such", "model.pretrained")


def test_a_network_without_parts_cannot_be_frozen():
    picker = build_own("own_networks:NoConvolution", {})
    with pytest.raises(ValueError, match=r"^freezing\.schedule=encoder: own_networks:NoConvolution does not state its"):
        parts_of("own_networks:NoConvolution", picker, "encoder")
    assert parts_of("own_networks:NoConvolution", picker, "full") == {"encoder": (), "backbone": ()}
