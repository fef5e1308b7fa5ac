from __future__ import annotations

import pickle
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from public_checkpoint import lightning

from trainables.models.classifier import Classifier, HeadConfig
from trainables.models.contrastive import ContrastiveConfig, ContrastiveModel
from trainables.models.pretrained import load_pretrained, save_encoder
from trainables.models.representation import Representation
from trainables.models.representation_config import cpu_sized

CONTRAST = ContrastiveConfig(groups=2, codes=8, code_width=16)


def pretrained(**changes: Any) -> ContrastiveModel:
    torch.manual_seed(1)
    return ContrastiveModel(cpu_sized(**changes), CONTRAST).eval()


def fresh(**changes: Any) -> Classifier:
    torch.manual_seed(2)
    return Classifier(cpu_sized(**changes), HeadConfig(), 4).eval()


def assert_same_tokens(one: Representation, other: Representation) -> None:
    x_BXT = torch.randn(1, 3, 800)
    torch.testing.assert_close(one.tokens(x_BXT)[0], other.tokens(x_BXT)[0])


def test_our_encoder_file(tmp_path):
    source, model = pretrained(), fresh()
    save_encoder(source, tmp_path / "encoder.pt")
    found = load_pretrained(model, str(tmp_path))
    assert_same_tokens(source, model)
    assert all(name.startswith("head.") for name in found.fresh)
    assert found.left_over == []
    assert "kept fresh 8: head.convs.0.weight" in found.summary()


def test_the_best_weights_of_a_training_checkpoint(tmp_path):
    best, last, model = pretrained(), fresh(), fresh()
    torch.save({"model": last.state_dict(), "best_weights": best.state_dict()}, tmp_path / "state.pt")
    found = load_pretrained(model, str(tmp_path))
    assert_same_tokens(best, model)
    assert "quantizer.codevectors" in found.left_over


@pytest.mark.parametrize("changes", [{}, {"n_layers": 2, "block": "mixed"}])
def test_a_lightning_checkpoint_of_the_public_repository(tmp_path, changes):
    source, model = pretrained(**changes), fresh(**changes)
    checkpoint = lightning(source)
    assert {"encoder.layers.0.ln.weight", "model._net.center.0.fuses.0.weight"} <= set(checkpoint["state_dict"])
    file = tmp_path / "run" / "checkpoints" / "best.ckpt"
    file.parent.mkdir(parents=True)
    torch.save(checkpoint, file)
    found = load_pretrained(model, str(tmp_path / "run"))
    assert found.file == file
    assert_same_tokens(source, model)
    assert {"encoder.mask_emb", "model.quantizer.weight_proj.bias", "model.final_projection.weight"} <= set(
        found.left_over
    )


def test_a_public_checkpoint_reads_the_components_in_its_own_order(tmp_path):
    source, model = pretrained(), fresh()
    torch.save(lightning(source), tmp_path / "public.ckpt")
    summary = load_pretrained(model, str(tmp_path)).summary()
    assert "public.ckpt, trained on ZNE and brought to ENZ" in summary
    x_BXT = torch.randn(2, 3, 800)
    z_n_e = Classifier(cpu_sized(), HeadConfig(), 4).eval()
    z_n_e.load_state_dict(source.state_dict(), strict=False)
    z_n_e.encoder.layers[0]["conv"].weight.data.copy_(lightning(source)["state_dict"]["encoder.layers.0.conv.weight"])
    theirs, ours = z_n_e.tokens(x_BXT[:, [2, 1, 0]])[0], model.tokens(x_BXT)[0]
    torch.testing.assert_close(ours, theirs)
    unpermuted = torch.cosine_similarity(z_n_e.tokens(x_BXT)[0], theirs, dim=-1)
    assert unpermuted.mean() < 0.99, "the order counts"


def test_our_own_checkpoint_stays_in_our_order(tmp_path):
    source, model = pretrained(), fresh()
    torch.save({"state_dict": {f"module.{name}": t for name, t in source.state_dict().items()}}, tmp_path / "a.ckpt")
    found = load_pretrained(model, str(tmp_path))
    assert not found.reordered
    assert_same_tokens(source, model)


def test_a_lightning_checkpoint_that_fuses_once_a_stage_and_lacks_the_wrapper(tmp_path):
    source, model = pretrained(fuse="stage", n_layers=2), fresh(fuse="stage", n_layers=2)
    checkpoint = lightning(source)
    names = {}
    for name, tensor in checkpoint["state_dict"].items():
        for ours, theirs in (("_net.", ""), ("blocks_fwd.0", "fwd"), ("blocks_bwd.0", "bwd"), ("fuses.0", "fuse")):
            name = name.replace(ours, theirs)
        names[name.replace("model.", "model._orig_mod.")] = tensor
    torch.save({"state_dict": names}, tmp_path / "a.ckpt")
    load_pretrained(model, str(tmp_path / "a.ckpt"))
    assert_same_tokens(source, model)


def test_slstm_weights_of_the_cuda_backend_are_brought_to_ours(tmp_path):
    source, model = pretrained(block="slstm"), fresh(block="slstm")
    weights = source.state_dict()
    for name in [name for name in weights if name.endswith("_recurrent_kernel_")]:
        torch.nn.init.normal_(weights[name], std=0.1)
        cell = source.get_submodule(name.rpartition(".")[0])
        weights[name] = cell._recurrent_kernel_int2ext(weights[name]).clone()  # as the CUDA backend keeps it
        bias = name.replace("_recurrent_kernel_", "_bias_")
        weights[bias] = cell._bias_int2ext(torch.nn.init.normal_(weights[bias])).reshape(-1).clone()
    torch.save({"state_dict": weights}, tmp_path / "cuda.ckpt")
    load_pretrained(model, str(tmp_path / "cuda.ckpt"))
    assert_same_tokens(source, model)


def test_settings_beside_the_weights_are_read_as_empty_shells(tmp_path, monkeypatch):
    """Lightning keeps omegaconf's types beside the weights; here it need not be installed, and nothing of it runs."""
    for name in ("omegaconf", "omegaconf.dictconfig"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    ran = []

    class DictConfig:
        def __init__(self) -> None:
            self.content = {"lr": 1e-3, "path": Path("a")}

        def __setstate__(self, state: Any) -> None:
            ran.append(state)

    DictConfig.__module__, DictConfig.__qualname__ = "omegaconf.dictconfig", "DictConfig"
    sys.modules["omegaconf.dictconfig"].DictConfig = DictConfig
    source, model = pretrained(), fresh()
    torch.save(lightning(source, hyper_parameters=DictConfig()), tmp_path / "a.ckpt")
    load_pretrained(model, str(tmp_path))
    assert_same_tokens(source, model)
    assert ran == []


def test_a_part_that_the_checkpoint_lacks_stays_fresh(tmp_path):
    source, model, untouched = pretrained(), fresh(), fresh()
    weights = {name: tensor for name, tensor in source.state_dict().items() if name.startswith("encoder.")}
    torch.save({"state_dict": weights}, tmp_path / "a.ckpt")
    found = load_pretrained(model, str(tmp_path))
    torch.testing.assert_close(model.encoder.projection.weight, source.encoder.projection.weight)
    torch.testing.assert_close(model.backbone.center.fuses[0].weight, untouched.backbone.center.fuses[0].weight)
    assert "backbone.norm.weight" in found.fresh


def refused(source: Path, model: Representation | None = None) -> str:
    with pytest.raises(ValueError, match=r"^model\.pretrained=") as error:
        load_pretrained(fresh() if model is None else model, str(source))
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("changes", [{"d_model": 32}, {"n_layers": 2}, {"backbone": "transformer"}])
def test_another_architecture_names_what_differs(tmp_path, changes):
    save_encoder(pretrained(**changes), tmp_path / "encoder.pt")
    model = fresh()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    message = refused(tmp_path, model)
    assert "another architecture than the model: backbone." in message
    assert "more" in message
    expected = r" is \S+ there and \S+ here" if changes == {"d_model": 32} else " is only in the "
    assert re.search(expected, message)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_a_path_that_is_not_there_says_where_it_looked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert f"looked at {tmp_path}/nowhere/best.ckpt" in refused(Path("nowhere/best.ckpt"))
    (tmp_path / "empty").mkdir()
    assert f"no checkpoint in {tmp_path}/empty, looked for artifacts/encoder.pt" in refused(tmp_path / "empty")


def test_a_folder_of_several_checkpoints_asks_which(tmp_path):
    for name in ("epoch=1.ckpt", "epoch=2.ckpt"):
        (tmp_path / name).touch()
    assert "name one of them: epoch=1.ckpt, epoch=2.ckpt" in refused(tmp_path)


class Payload:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return (open, (str(self.marker), "w"))


def test_a_pickle_with_code_is_refused_by_the_name_of_what_it_asks_for(tmp_path):
    torch.save(lightning(pretrained(), callbacks=Payload(tmp_path / "ran")), tmp_path / "a.ckpt")
    assert "refused, it asks for" in (message := refused(tmp_path / "a.ckpt"))
    assert "open" in message
    (tmp_path / "b.ckpt").write_bytes(pickle.dumps(Payload(tmp_path / "ran")))
    assert "the file does not hold tensors alone" in refused(tmp_path / "b.ckpt")
    assert not (tmp_path / "ran").exists()


def test_a_file_without_encoder_or_tensors_is_refused(tmp_path):
    torch.save({"state_dict": {"decoder.weight": torch.zeros(1)}}, tmp_path / "a.ckpt")
    assert "nothing to load" in refused(tmp_path / "a.ckpt")
    torch.save([1, 2], tmp_path / "b.ckpt")
    assert "there are no named tensors in it" in refused(tmp_path / "b.ckpt")
    (tmp_path / "c.ckpt").write_text("hello")
    assert "not a checkpoint" in refused(tmp_path / "c.ckpt")
