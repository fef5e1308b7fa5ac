"""The calibration of a finished picker: fitted on dev, written into its weights, its thresholds chosen again."""

# B batch, C class (P, S, noise), T time sample

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from trainables import metrics
from trainables.data.batches import Batch, DevWindows
from trainables.data.config import PHASES
from trainables.evaluation.calibration import AS_IS, Calibration, Peaks, find_peaks_of, fit
from trainables.evaluation.picks import PickConfig, PickCounts, count_picks, scores
from trainables.evaluation.reliability import Reliability
from trainables.export.calibrated import calibrated
from trainables.models.adapters import PickerAdapter
from trainables.models.xiaonet import XiaoNet

ROUNDS = 2
"""Of looking for peaks and fitting the map to them: the second sees where P and S compete after the first."""


@dataclass(frozen=True)
class Calibrated:
    """A calibrated picker, and what it was before."""

    model: XiaoNet | PickerAdapter
    thresholds: dict[str, float]
    """Of P and S, the best on dev after it."""
    metrics: dict[str, float]
    """Scores after it (`dev/...`) and before it (`uncalibrated/...`), and the map (`calibration/s_scale` ...)."""
    words: str
    before: Reliability


def calibrate(
    model: XiaoNet | PickerAdapter,
    logits: Callable[[nn.Module, Batch], Tensor],
    dev: DevWindows,
    picks: PickConfig,
    batch_size: int,
) -> Calibrated:
    """Fit on the dev windows, and score them before and after; `model` is left as it is. `logits`: how it reads a
    batch.

    A curve nearly keeps the order of its peaks, so that the picks at the thresholds that are then best are mostly those
    from before. Where all peaks were low they are better: thresholds in steps of 0.05 could not part them.
    """
    calibration, peaks, (counts, before) = AS_IS, dict[str, Peaks](), (PickCounts.zeros(), Reliability.zeros())
    for number in range(ROUNDS):
        looked = _look(model, logits, dev, picks, batch_size, calibration)
        if not number:
            counts, before = looked.counts, looked.reliability
        peaks = {phase: its.enough(phase, calibration) for phase, its in looked.peaks.items()}
        calibration = fit(peaks)
    after = calibrated(model, calibration)
    looked = _look(after, logits, dev, picks, batch_size)
    counts_after, reliability = looked.counts, looked.reliability
    found_after = scores(counts_after) | reliability.metrics("dev")
    measured = scores(counts, split=metrics.UNCALIBRATED) | before.metrics(metrics.UNCALIBRATED)
    return Calibrated(
        after,
        {phase: found_after[metrics.picking("dev", phase, "threshold")] for phase in PHASES},
        found_after | measured | _parameters(calibration),
        _in_words(calibration, peaks),
        before,
    )


class _Looked(NamedTuple):
    """What there is on dev, with a map."""

    counts: PickCounts
    reliability: Reliability
    peaks: dict[str, Peaks]


@torch.no_grad()
def _look(
    model: nn.Module,
    logits: Callable[[nn.Module, Batch], Tensor],
    dev: DevWindows,
    picks: PickConfig,
    batch_size: int,
    calibration: Calibration = AS_IS,
) -> _Looked:
    model.eval()
    counts, reliability, peaks = PickCounts.zeros(), Reliability.zeros(), dict[str, Peaks]()
    for batch, arrivals in dev.batches(batch_size):
        logits_BCT = logits(model, batch).float().cpu()
        mapped_BTC = torch.from_numpy(calibration(logits_BCT.transpose(1, 2).numpy())).float()
        probabilities_BCT = mapped_BTC.softmax(dim=2).transpose(1, 2).numpy()
        counts += count_picks(probabilities_BCT, arrivals, picks)
        reliability += Reliability.of(probabilities_BCT, arrivals, picks)
        for phase, found in find_peaks_of(logits_BCT.numpy(), probabilities_BCT, arrivals, picks).items():
            peaks[phase] = peaks[phase] + found if phase in peaks else found
    return _Looked(counts, reliability, peaks)


def _parameters(calibration: Calibration) -> dict[str, float]:
    parts = {"scale": calibration.scale, "shift": calibration.shift}
    return {
        metrics.picking(metrics.CALIBRATION, phase, name): value
        for name, by_phase in parts.items()
        for phase, value in by_phase.items()
    }


def _in_words(calibration: Calibration, peaks: Mapping[str, Peaks]) -> str:
    """The map, and of what it was made; of a phase that was left as it is, why."""
    parts = []
    for phase in PHASES:
        its = peaks[phase]
        made_of = f"{its.num_true} peaks with an arrival and {its.num_false} without one"
        is_left = "" if its.is_enough else "left as it is, too few for a fit: "
        scale = "" if is_left else f"scale {calibration.scale[phase]:.3g}, shift {calibration.shift[phase]:+.3g}, by "
        parts.append(f"{phase}: {is_left}{scale}{made_of}")
    return "; ".join(parts)
