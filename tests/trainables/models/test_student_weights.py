from __future__ import annotations

import pytest
import torch
from seisbench.models import PhaseNet

from trainables.models.student_weights import load_student
from trainables.models.xiaonet import XiaoNet

WAVES_BXT = torch.randn(2, 3, 3001, generator=torch.Generator().manual_seed(0))


def student(seed: int = 1, **settings) -> XiaoNet:
    torch.manual_seed(seed)
    return XiaoNet(**{"base_channels": 4, "pooling": 4, **settings}).eval()


@pytest.fixture
def earlier(tmp_path) -> XiaoNet:
    """A student whose files lie in `tmp_path`, in every form that there is."""
    network = student(seed=0)
    (tmp_path / "trial").mkdir()
    network.save(tmp_path / "trial" / "xiaonet", version_str="1")
    torch.save(network.state_dict(), tmp_path / "plain.pt")
    (tmp_path / "training").mkdir()
    weights = {"model": student(seed=2).state_dict(), "best_weights": network.state_dict()}
    torch.save(weights, tmp_path / "training" / "state.pt")
    return network


@pytest.mark.parametrize(
    "source",
    ["trial", "trial/xiaonet", "trial/xiaonet.pt.v1", "trial/xiaonet.json.v1", "plain.pt", "training", "."],
)
def test_a_student_goes_on_from_a_folder_a_pair_a_checkpoint_or_a_file(earlier, tmp_path, source):
    begun = student()
    assert not torch.equal(begun(WAVES_BXT), earlier(WAVES_BXT))
    loaded = load_student(begun, str(tmp_path / source))
    assert torch.equal(begun(WAVES_BXT), earlier(WAVES_BXT))
    assert loaded.loaded == sorted(earlier.state_dict())
    assert (loaded.fresh, loaded.left_over) == ([], [])


def test_dropout_is_the_new_students_own(tmp_path):
    earlier = student(seed=0, context="wide", dropout=0.2)
    earlier.save(tmp_path / "earlier", version_str="1")
    begun = student(context="wide")
    load_student(begun, str(tmp_path / "earlier"))
    assert begun.dropout == 0
    assert torch.equal(begun(WAVES_BXT), earlier(WAVES_BXT)), "the context is found where dropout is not before it"


def test_a_wider_student_keeps_its_context_fresh(earlier, tmp_path):
    begun, fresh = student(context="wide"), student(context="wide")
    loaded = load_student(begun, str(tmp_path / "trial"))
    assert torch.equal(begun.head.weight, earlier.head.weight)
    assert loaded.fresh
    assert all(name.startswith("bottleneck.6.") for name in loaded.fresh)
    assert torch.equal(begun.bottleneck[6].mix.weight, fresh.bottleneck[6].mix.weight)
    assert f"kept fresh {len(loaded.fresh)}: bottleneck.6." in loaded.summary()


def test_tensors_without_a_place_are_left_over(earlier, tmp_path):
    torch.save({**earlier.state_dict(), "optimizer.step": torch.zeros(1)}, tmp_path / "more.pt")
    assert load_student(student(), str(tmp_path / "more.pt")).left_over == ["optimizer.step"]


@pytest.mark.parametrize(
    ("settings", "here", "there"),
    [
        ({"base_channels": 8}, "student.base_channels=8", "student.base_channels=4"),
        ({"pooling": 2}, "student.pooling=2", "student.pooling=4"),
        ({"norm": "group"}, "student.norm=group", "student.norm=batch"),
        (
            {"base_channels": 8, "pooling": 2},
            "student.base_channels=8 student.pooling=2",
            "student.base_channels=4 student.pooling=4",
        ),
    ],
)
def test_another_size_is_refused_with_the_settings_that_fit(earlier, tmp_path, settings, here, there):
    begun = student(**settings)
    before = begun.head.weight.clone()
    with pytest.raises(ValueError, match=rf"weights of another student than {here}; they need {there}$"):
        load_student(begun, str(tmp_path / "trial"))
    assert torch.equal(begun.head.weight, before)


def test_a_wide_students_weights_are_not_those_of_a_near_one(tmp_path):
    torch.save(student(context="wide").state_dict(), tmp_path / "wide.pt")
    with pytest.raises(ValueError, match=r"than student\.context=near; they need student\.context=wide$"):
        load_student(student(), str(tmp_path / "wide.pt"))


def test_what_is_no_student_is_refused_in_one_line(earlier, tmp_path):
    PhaseNet(phases="PSN").save(tmp_path / "phasenet", version_str="1")
    torch.save(PhaseNet(phases="PSN").state_dict(), tmp_path / "other.pt")
    half = {name: tensor for name, tensor in earlier.state_dict().items() if not name.startswith("decoder")}
    torch.save(half, tmp_path / "half.pt")
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.pt").write_text("no tensors")
    complaints = {
        "phasenet": "not the weights of a XiaoNet, which student.architecture=xiaonet needs",
        "other.pt": "nothing to load",
        "half.pt": "another architecture than the student: decoder.0.0.bias is only in the model",
        "empty": "no student's weights in",
        "text.pt": "not a checkpoint",
        "nowhere": "no such file or folder, looked at",
    }
    for name, complaint in complaints.items():
        with pytest.raises(ValueError, match=complaint) as caught:
            load_student(student(), str(tmp_path / name))
        assert str(caught.value).startswith(f"student.pretrained={tmp_path / name}: ")
        assert "\n" not in str(caught.value)


def test_of_several_pickers_in_a_folder_one_is_to_be_named(earlier, tmp_path):
    earlier.save(tmp_path / "trial" / "other", version_str="1")
    with pytest.raises(ValueError, match=r"2 pickers in .*, name one of them: other\.json\.v1, xiaonet\.json\.v1"):
        load_student(student(), str(tmp_path / "trial"))
