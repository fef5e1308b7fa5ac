"""What a finished picker leaves behind: ONNX files with their scores, the SeisBench pair, figures."""

# B batch, C class (P, S, noise), X component (E, N, Z), T time sample, N calibration window

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from seisbench.models import WaveformModel

from trainables import metrics
from trainables.atomic import whole_folder
from trainables.data.batches import Batch, DevWindows
from trainables.data.config import PHASES
from trainables.edge.network import RESIDUAL_STD
from trainables.evaluation.counts import EventCounts
from trainables.evaluation.event_scores import picking_intervals
from trainables.evaluation.picks import (
    PickConfig,
    PickCounts,
    count_each,
    residuals_s,
    scores,
)
from trainables.evaluation.reliability import Reliability, reliability_table
from trainables.export.document_names import write_document_names
from trainables.export.examples import Example, Examples, example_picks
from trainables.export.figures import residual_histograms, residual_table
from trainables.export.files import FP32_FILE, INT8_FILE, RELIABILITY_FILE, RESIDUALS_FILE
from trainables.export.gate import ExportConfig, Loss, QuantizedPicker, judge
from trainables.export.history import training_history
from trainables.export.onnx import NotPossibleError, OnnxPicker, add_metadata, export_onnx
from trainables.export.own import no_int8, no_onnx, quantize_own
from trainables.export.quantize import int8_conv_share
from trainables.export.reliability import UNCALIBRATED, reliability_figure
from trainables.models.adapters import PickerAdapter, adapter_of
from trainables.models.own_network import OwnNetwork, save_own
from trainables.models.xiaonet import XiaoNet

REFUSED_FILE = "model_int8_refused.onnx"
"""Name of an INT8 file that the gate refused: nobody shall ship it by mistake."""
SEISBENCH_VERSION = "1"
EVALUATION_BATCH = 16
"""Small: onnxruntime needs less time for a window where the activations of a batch stay in the cache."""

GATE_TAG = "gate"

Picker = Callable[[Batch], np.ndarray]
"""Reads a batch and answers with probabilities (B, C, T)."""


@dataclass(frozen=True)
class Exported:
    """What export found, in numbers and in words."""

    metrics: dict[str, float] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    events: dict[str, EventCounts] = field(default_factory=dict)
    """Counts by dev event of each ONNX file: fp32, int8."""


def export_picker(
    model: XiaoNet | PickerAdapter,
    *,
    calibration_NXT: np.ndarray,
    dev: DevWindows,
    thresholds: Mapping[str, float],
    history: Sequence[Mapping[str, float]],
    picks: PickConfig,
    config: ExportConfig,
    folder: Path,
    docstring: str,
    best_epoch: int | None = None,
    latency_ratio: float | None = None,
    uncalibrated: Reliability | None = None,
) -> Exported:
    """Write everything into `folder`, which appears complete or not at all; `model` is left as it is.

    FP32 and INT8 ONNX files are scored on the dev windows at `thresholds`, and the gate gives its verdict, which says
    whether INT8 is slower (`latency_ratio`: INT8 over FP32). An INT8 file that is refused is named so. A user's network
    that cannot be exported, or not in INT8, is scored as it is, and the gate's tag says why.
    """
    with whole_folder(folder) as arriving:
        if isinstance(model, OwnNetwork):
            save_own(model, arriving, docstring)
        else:
            save_seisbench(model, arriving, thresholds, docstring)
        training_history(history, arriving / "training_history.png", best_epoch)
        fp32, int8 = arriving / FP32_FILE, arriving / INT8_FILE
        missing = _written(model, fp32, int8, thresholds, calibration_NXT)
        pickers = {name: onnx_picker(file) for name, file in (("FP32", fp32), ("INT8", int8)) if file.exists()}
        evaluation = evaluate(pickers or {"FP32": torch_picker(model)}, dev, thresholds, picks)
        for file, name in ((fp32, "FP32"), (int8, "INT8")):
            if file.exists():
                add_metadata(file, _residual_stds(evaluation.residuals_s[name]))
        events = evaluation.by_event(dev)
        if missing:
            exported = _without(missing, fp32, evaluation, events, thresholds)
        else:
            exported = _judged(fp32, int8, evaluation, events, thresholds, config, latency_ratio)
        for name, counts in exported.events.items():
            exported.metrics.update(picking_intervals(counts, name))
        for name, reliability in evaluation.reliability.items():
            exported.metrics.update(reliability.metrics(name.lower()))
        if int8.exists() and not exported.metrics[metrics.INT8_ACCEPTED]:
            int8.rename(arriving / REFUSED_FILE)
        if config.document_names:
            write_document_names(model, arriving, thresholds, int8 if int8.exists() else None)
        _tell(evaluation, arriving, picks, uncalibrated)
    return exported


def _residual_stds(residuals_s: Mapping[str, np.ndarray]) -> dict[str, str]:
    """Of each phase that was picked right at all: how far its picks scatter, which `pick` writes as time errors."""
    return {
        f"{phase}_{RESIDUAL_STD}": f"{values.std():.4g}" for phase, values in residuals_s.items() if len(values) > 1
    }


def _written(
    model: XiaoNet | PickerAdapter, fp32: Path, int8: Path, thresholds: Mapping[str, float], calibration: np.ndarray
) -> str:
    """Write both files; which of them there is not, and why, in words."""
    try:
        export_onnx(model, fp32, thresholds)
    except NotPossibleError as error:
        return no_onnx(error)
    try:
        quantize_own(model, fp32, int8, calibration)
    except NotPossibleError as error:
        return no_int8(error)
    return ""


def _without(
    missing: str, fp32: Path, evaluation: Evaluation, events: dict[str, EventCounts], thresholds: Mapping[str, float]
) -> Exported:
    """Scores of a network of which there is no INT8 file, or no file at all."""
    found = scores(evaluation.counts["FP32"], thresholds, split="fp32") | {metrics.INT8_ACCEPTED: 0.0}
    if fp32.exists():
        found[metrics.FP32_BYTES] = fp32.stat().st_size
    return Exported(found, {GATE_TAG: f"refused: {missing}.", metrics.INT8_VERDICT: "refused"}, events)


def _tell(evaluation: Evaluation, folder: Path, picks: PickConfig, uncalibrated: Reliability | None) -> None:
    """Residuals and reliability as tables and as figures, and examples."""
    residual_table(evaluation.residuals_s, picks.tolerance_s).to_csv(folder / RESIDUALS_FILE, index=False)
    residual_histograms(evaluation.residuals_s, folder / "residuals.png", picks.tolerance_s)
    before = {UNCALIBRATED: uncalibrated} if uncalibrated else {}
    reliability = reliability_table(before | evaluation.reliability)
    reliability.to_csv(folder / RELIABILITY_FILE, index=False)
    reliability_figure(reliability, folder / "reliability.png")
    if evaluation.examples:
        example_picks(evaluation.examples, folder / "example_picks.png")


def save_seisbench(
    model: XiaoNet | PickerAdapter, folder: Path, thresholds: Mapping[str, float], docstring: str
) -> Path:
    """Write NAME.json.v1 and NAME.pt.v1, whose `classify` takes `thresholds` by default; returns folder/NAME."""
    network = model.network if isinstance(model, PickerAdapter) else model
    assert isinstance(network, WaveformModel)
    plain = copy.deepcopy(network).cpu().eval()
    plain.default_args = dict(plain.default_args) | {f"{phase}_threshold": thresholds[phase] for phase in PHASES}
    stem = folder / type(network).__name__.lower()
    plain.save(stem, weights_docstring=docstring, version_str=SEISBENCH_VERSION)
    return stem


@dataclass
class Evaluation:
    """Pickers side by side on the same windows."""

    counts: dict[str, PickCounts]
    residuals_s: dict[str, dict[str, np.ndarray]]
    """Residuals of true picks, by picker and phase."""
    reliability: dict[str, Reliability]
    examples: Mapping[str, Example] = field(default_factory=dict)
    """Windows that show what the last one does, by kind."""
    windows_BPF: dict[str, list[np.ndarray]] = field(default_factory=dict)
    """Counts of each window at the thresholds, by picker: (window, phase, field) batch by batch."""

    def by_event(self, dev: DevWindows) -> dict[str, EventCounts]:
        """The same by event; pickers under their names in metrics."""
        return {
            name.lower(): EventCounts.of_events(dev.events, np.concatenate(counted), PHASES)
            for name, counted in self.windows_BPF.items()
        }


def evaluate(
    pickers: Mapping[str, Picker], dev: DevWindows, thresholds: Mapping[str, float], picks: PickConfig
) -> Evaluation:
    """Counts, residuals and an example of several pickers, in one pass over the windows."""
    result = Evaluation(
        counts={name: PickCounts.zeros() for name in pickers},
        residuals_s={name: {phase: np.empty(0) for phase in PHASES} for name in pickers},
        reliability={name: Reliability.zeros() for name in pickers},
    )
    examples = Examples(thresholds, picks)
    for batch, arrivals in dev.batches(EVALUATION_BATCH):
        probabilities = {name: picker(batch) for name, picker in pickers.items()}
        for name, probabilities_BCT in probabilities.items():
            each = count_each(probabilities_BCT, arrivals, picks)
            result.counts[name] = sum(each, result.counts[name])
            result.reliability[name] += Reliability.of(probabilities_BCT, arrivals, picks)
            counted = np.stack([of_window.at(thresholds) for of_window in each])[..., :3].astype(np.int64)
            result.windows_BPF.setdefault(name, []).append(counted)
            for phase, values in residuals_s(probabilities_BCT, arrivals, thresholds, picks).items():
                result.residuals_s[name][phase] = np.append(result.residuals_s[name][phase], values)
        examples.look(batch, arrivals, probabilities, counted)
    result.examples = examples.by_kind
    return result


def onnx_picker(path: Path) -> Picker:
    """An ONNX file as a picker of batches."""
    picker = OnnxPicker(path)
    return picker.of_batch


def torch_picker(model: XiaoNet | PickerAdapter) -> Picker:
    """A network as a picker of batches, as it is in PyTorch."""
    adapter = adapter_of(model).eval()

    @torch.no_grad()
    def pick(batch: Batch) -> np.ndarray:
        return adapter.interface.probabilities(adapter(batch.raw_BXT)).float().cpu().numpy()

    return pick


def _judged(
    fp32: Path,
    int8: Path,
    evaluation: Evaluation,
    events: dict[str, EventCounts],
    thresholds: Mapping[str, float],
    config: ExportConfig,
    latency_ratio: float | None,
) -> Exported:
    found: dict[str, float] = {}
    for name, counts in evaluation.counts.items():
        found |= scores(counts, thresholds, split=name.lower())
    quantized = QuantizedPicker(
        fp32_bytes=fp32.stat().st_size,
        int8_bytes=int8.stat().st_size,
        conv_share=int8_conv_share(int8),
        fp32_f1=found[metrics.FP32_F1],
        int8_f1=found[metrics.INT8_F1],
        loss=Loss.of(events["fp32"], events["int8"]),
        latency_ratio=latency_ratio,
    )
    verdict = judge(quantized, config)
    low, high = metrics.interval(metrics.INT8_F1_LOSS)
    found |= {
        metrics.FP32_BYTES: quantized.fp32_bytes,
        metrics.INT8_BYTES: quantized.int8_bytes,
        metrics.INT8_SIZE_RATIO: quantized.size_ratio,
        metrics.INT8_CONV_SHARE: quantized.conv_share,
        metrics.INT8_F1_LOSS: quantized.fp32_f1 - quantized.int8_f1,
        low: quantized.loss.low,
        high: quantized.loss.high,
        metrics.INT8_ACCEPTED: float(verdict.accepted),
    }
    return Exported(found, {GATE_TAG: str(verdict), metrics.INT8_VERDICT: verdict.word}, events)
