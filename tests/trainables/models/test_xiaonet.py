from __future__ import annotations

import numpy as np
import obspy
import pytest
import torch

from trainables.models.xiaonet import StudentConfig, XiaoNet, build_student


def count_parameters(model: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(("base_channels", "parameters"), [(8, 41_715), (16, 164_451)])
@pytest.mark.parametrize("pooling", [2, 4])
def test_number_of_parameters(base_channels, parameters, pooling):
    assert count_parameters(XiaoNet(base_channels=base_channels, pooling=pooling)) == parameters


@pytest.mark.parametrize(("base_channels", "parameters"), [(8, 50_931), (7, 39_238)])
def test_number_of_parameters_with_wide_context(base_channels, parameters):
    assert count_parameters(XiaoNet(base_channels=base_channels, pooling=4, context="wide")) == parameters


def test_wide_context_leaves_the_other_first_weights_as_they_are():
    torch.manual_seed(0)
    near = build_student(StudentConfig(base_channels=4)).state_dict()
    torch.manual_seed(0)
    wide = build_student(StudentConfig(base_channels=4, context="wide")).state_dict()
    assert all(torch.equal(tensor, wide[name]) for name, tensor in near.items())


@pytest.mark.parametrize("pooling", [2, 4])
@pytest.mark.parametrize("norm", ["batch", "group"])
def test_answers_with_probabilities_in_the_shape_of_the_window(pooling, norm):
    model = build_student(StudentConfig(base_channels=4, pooling=pooling, norm=norm, dropout=0.2)).eval()
    x_BXT = torch.randn(2, 3, 3001)
    probabilities_BCT, logits_BCT = model(x_BXT), model(x_BXT, logits=True)
    assert probabilities_BCT.shape == logits_BCT.shape == (2, 3, 3001)
    torch.testing.assert_close(probabilities_BCT.sum(dim=1), torch.ones(2, 3001))
    torch.testing.assert_close(logits_BCT.softmax(dim=1), probabilities_BCT)


def test_repeats_the_last_logit_of_the_trimmed_window():
    logits_BCT = XiaoNet(base_channels=4, pooling=2).eval()(torch.randn(1, 3, 3001), logits=True)
    assert torch.equal(logits_BCT[..., -1], logits_BCT[..., -2])


@pytest.mark.parametrize(("pooling", "reaches"), [(2, 150), (4, 600)])
def test_pooling_widens_the_context(pooling, reaches):
    torch.manual_seed(0)
    model = XiaoNet(base_channels=4, pooling=pooling).eval()
    x_BXT = torch.randn(1, 3, 3001, requires_grad=True)
    model(x_BXT, logits=True)[0, 0, 1500].backward()
    assert x_BXT.grad is not None
    seen = x_BXT.grad[0].abs().sum(dim=0).nonzero()
    context_samples = int(seen.max() - seen.min()) + 1
    assert (context_samples > 300) == (reaches == 600)


def test_wide_context_sees_the_whole_window():
    torch.manual_seed(0)
    model = XiaoNet(base_channels=4, pooling=4, context="wide").eval()
    x_BXT = torch.randn(1, 3, 3001, requires_grad=True)
    model(x_BXT, logits=True)[0, 0, 1500].backward()
    assert x_BXT.grad is not None
    assert (x_BXT.grad[0].abs().sum(dim=0) > 0).float().mean() > 0.9


@pytest.fixture
def stream() -> obspy.Stream:
    rng = np.random.default_rng(0)
    header = {"network": "XX", "station": "A", "sampling_rate": 100.0}
    return obspy.Stream(
        [obspy.Trace(rng.normal(size=6000), header=header | {"channel": f"HH{component}"}) for component in "ZNE"]
    )


def test_saved_and_loaded_by_seisbench_it_annotates_the_same(tmp_path, stream):
    model = XiaoNet(base_channels=4, pooling=4, default_args={"P_threshold": 0.2}).eval()
    model.save(tmp_path / "picker", version_str="1")
    again = XiaoNet.load(tmp_path / "picker", version_str="1").eval()
    assert again.default_args == {"P_threshold": 0.2}
    first, second = model.annotate(stream), again.annotate(stream)
    assert [trace.stats.channel for trace in first] == ["XiaoNet_P", "XiaoNet_S", "XiaoNet_N"]
    for one, other in zip(first, second, strict=True):
        np.testing.assert_allclose(one.data, other.data)


def test_annotate_normalises_as_training_does(stream):
    """Scaling a component by a gain changes nothing: each is divided by its own peak."""
    model = XiaoNet(base_channels=4).eval()
    louder = stream.copy()
    louder[0].data = louder[0].data * 1000 + 5000
    for one, other in zip(model.annotate(stream), model.annotate(louder), strict=True):
        np.testing.assert_allclose(one.data, other.data, atol=1e-5)


def test_thresholds_of_the_model_decide_what_classify_returns(stream):
    model = XiaoNet(base_channels=4, default_args={"P_threshold": 1e-6, "S_threshold": 0.9999}).eval()
    phases = {pick.phase for pick in model.classify(stream).picks}
    assert phases == {"P"}


def test_picks_a_real_stream_as_before_it_was_saved(shared_data, tmp_path):
    file = shared_data / "real_data" / "continuous" / "PB_B916_ridgecrest_20min.mseed"
    stream = obspy.read(file).slice(endtime=obspy.read(file)[0].stats.starttime + 120)
    torch.manual_seed(0)
    model = XiaoNet(base_channels=16, default_args={"P_threshold": 0.3, "S_threshold": 0.3}).eval()
    model.save(tmp_path / "picker", version_str="1")
    again = XiaoNet.load(tmp_path / "picker", version_str="1").eval()
    first, second = model.classify(stream).picks, again.classify(stream).picks
    assert len(first) > 0
    assert [(pick.phase, pick.peak_time, pick.peak_value) for pick in first] == [
        (pick.phase, pick.peak_time, pick.peak_value) for pick in second
    ]
