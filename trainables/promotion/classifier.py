"""A fine-tuned classifier as a candidate: exported to FP32 ONNX and scored as such."""

# B batch, C true class, G event, K predicted class, N window, X component (E, N, Z), T time sample

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn

from trainables.data.config import COMPONENT_ORDER
from trainables.data.seal import Opening
from trainables.data.sequence import open_sequence
from trainables.data.sequence_batches import open_split, which_test_split
from trainables.data.sequence_classes import class_names
from trainables.evaluation.card_scores import classification_scores
from trainables.export.artifacts import EVALUATION_BATCH, FP32_FILE
from trainables.export.classifier import WEIGHTS_FILE
from trainables.export.onnx import INPUT, OPSET, OUTPUT, save, strip
from trainables.finetuning import FinetuningConfig, build_classifier
from trainables.models.classifier import Classifier
from trainables.models.mlstm_kernel import use_kernel
from trainables.promotion.candidate import FP32, Measured, digests_of
from trainables.quiet import quiet_library

CPU = torch.device("cpu")
SAME = 1e-3
"""Probabilities of the ONNX file and of torch differ by less."""


@dataclass(frozen=True)
class ClassifierCandidate:
    """The weights that finetuning leaves, and the ONNX file made of them."""

    config: FinetuningConfig
    models: dict[str, Path]
    input_shape: tuple[int, int]
    sampling_rate_hz: float
    headlines: tuple[str, ...]
    digests: str
    """Of the weights: the ONNX file made of them is made anew each time."""

    @classmethod
    def of(cls, config: FinetuningConfig, folder: Path, workdir: Path) -> ClassifierCandidate:
        """From a trial's folder of files; the ONNX file goes to `workdir`. Raises ValueError."""
        if not (folder / WEIGHTS_FILE).is_file():
            raise ValueError(f"there is no {WEIGHTS_FILE} among its files")
        sequence = open_sequence(config.data.dataset)
        model = build_classifier(config)
        held = torch.load(folder / WEIGHTS_FILE, map_location="cpu", weights_only=True)
        model.load_state_dict(held["state_dict"])
        shape = (len(COMPONENT_ORDER), sequence.num_samples)
        names = class_names(config.data.num_classes)
        headlines = ("macro_f1", "accuracy", *(f"class_{label}_f1" for label in range(len(names))))
        models, digests = {FP32: workdir / FP32_FILE}, digests_of([folder / WEIGHTS_FILE])
        candidate = cls(config, models, shape, sequence.sampling_rate_hz, headlines, digests)
        export_classifier_onnx(model.eval(), candidate)
        return candidate

    @property
    def facts(self) -> dict[str, object]:
        divisor = {"std": "standard deviation", "peak": "largest absolute value"}[self.config.data.amp_norm_type]
        return {
            "sampling_rate_hz": f"{self.sampling_rate_hz:g}",
            "component_order": COMPONENT_ORDER,
            "window_samples": str(self.input_shape[1]),
            "classes": ", ".join(class_names(self.config.data.num_classes)),
            "normalisation": f"per component: subtract mean, divide by {divisor}",
        }

    @property
    def test_split(self) -> str:
        return which_test_split(self.config.data)

    def measure(self, split: Literal["dev", "test"], opening: Opening | None = None) -> Measured:
        windows = open_split(self.config.data, split, CPU, opening)
        num_classes = self.config.data.num_classes
        session = _session(self.models[FP32])
        confusion_NCK = np.zeros((len(windows), num_classes, num_classes))
        for window_B in windows.windows(EVALUATION_BATCH):
            batch = windows.batch(window_B)
            predicted_B = session.run([OUTPUT], {INPUT: batch.waveform_BXT.numpy()})[0].argmax(axis=1)
            confusion_NCK[window_B, batch.label_B.numpy(), predicted_B] = 1
        found = classification_scores(confusion_NCK, windows.event_N, split)
        return Measured({FP32: found}, windows=len(windows), events=len(np.unique(windows.event_N)))


def export_classifier_onnx(model: Classifier, candidate: ClassifierCandidate) -> None:
    """Write the candidate's ONNX file: normalised "waveforms" (B, X, T) to "probabilities" (B, K).

    Raises ValueError where the file does not say what the model says.
    """
    # Cell by cell and chunk by chunk the graph would have a node for every token; all at once it has a few.
    if model.config.backbone == "xlstm":
        use_kernel(model, "parallel", model.config.chunk_size)
    example_BXT = torch.randn(2, *candidate.input_shape, generator=torch.Generator().manual_seed(0))
    with quiet_library("torch.onnx"), torch.no_grad():
        program = torch.onnx.export(
            _Probabilities(model).eval(),
            (example_BXT,),
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
        expected_BK = model(example_BXT).softmax(dim=1).numpy()
    assert program is not None
    file = candidate.models[FP32]
    save(strip(program.model_proto), file, {key: str(value) for key, value in candidate.facts.items()})
    found_BK = _session(file).run([OUTPUT], {INPUT: example_BXT.numpy()})[0]
    if not np.abs(found_BK - expected_BK).max() < SAME:
        raise ValueError(f"{file.name}: its probabilities differ by {np.abs(found_BK - expected_BK).max():.2g}")


class _Probabilities(nn.Module):
    def __init__(self, model: Classifier) -> None:
        super().__init__()
        self.model = model

    def forward(self, waveform_BXT: Tensor) -> Tensor:
        return self.model(waveform_BXT).softmax(dim=1)


def _session(file: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
