"""Windows of dev that show what a picker does: a hit, a miss and a false pick, where there are such."""

# B batch, C class (P, S, noise), F field (true, false, missed), P phase, X component (E, N, Z), T time sample

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy.signal import detrend

from trainables.data.batches import Arrivals, Batch
from trainables.data.config import COMPONENT_ORDER, PHASES, SAMPLING_RATE_HZ
from trainables.evaluation.picks import PickConfig, WindowArrivals, distinct_arrivals, match_picks
from trainables.export.drawing import BLACK, BLUE, GREY, VERMILION, save

PHASE_COLOUR = {"P": BLUE, "S": VERMILION}
_PICK_MARKER = {"P": "v", "S": "D"}
_ARRIVAL_STYLE = {"P": ":", "S": (0, (4, 2))}
_THRESHOLD_STYLE = {"P": ":", "S": "-."}
BEFORE_S, AFTER_S = 3, 6
"""Shown before the first arrival or pick, and of the coda after the last."""
KINDS = ("a hit", "a miss", "a false pick")
_PAPER = {"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 1.5}
"""Behind words that stand on a waveform."""
ABOVE = 1.08
"""Height of the symbols above the frame."""


class Marks(NamedTuple):
    """What happens to one phase in one window, as positions in samples."""

    true: np.ndarray
    """Picks near an arrival."""
    false: np.ndarray
    """Picks near none."""
    unknown: np.ndarray
    """Picks of a phase that nobody looked for there."""
    found: np.ndarray
    """Arrivals that were picked."""
    missed: np.ndarray
    """Arrivals that were not."""

    @classmethod
    def of(cls, probability_T: np.ndarray, arrivals: np.ndarray | None, threshold: float, config: PickConfig) -> Marks:
        none = np.empty(0)
        picks = match_picks(probability_T, none if arrivals is None else arrivals, config)
        reaches = picks.probabilities >= threshold
        samples, residuals_s = picks.samples[reaches], picks.residuals_s[reaches]
        if arrivals is None:
            return cls(none, none, samples, none, none)
        is_true = np.isfinite(residuals_s)
        matched = samples[is_true] - residuals_s[is_true] * SAMPLING_RATE_HZ
        found: list[float] = []
        missed: list[float] = []
        for one in distinct_arrivals(arrivals, config):
            (found if any(np.isclose(matched, arrival).any() for arrival in one) else missed).extend(one)
        return cls(samples[is_true], samples[~is_true], none, np.array(found), np.array(missed))


@dataclass(frozen=True)
class Example:
    """One window as a figure shows it."""

    waveforms: np.ndarray
    """Normalised components E, N, Z."""
    peaks: np.ndarray
    """By what each was divided, in the unit of the data set; 0 of a component that is dead."""
    probabilities: Mapping[str, np.ndarray]
    """Probabilities (C, T) by name of the file: FP32, INT8."""
    marks: Mapping[str, Marks]
    """By phase, of the last entry of `probabilities`."""
    thresholds: Mapping[str, float]

    @classmethod
    def of(
        cls,
        batch: Batch,
        window: int,
        arrivals: WindowArrivals,
        probabilities: Mapping[str, np.ndarray],
        thresholds: Mapping[str, float],
        config: PickConfig,
    ) -> Example:
        raw_XT, last_CT = batch.raw_BXT[window].cpu().numpy(), list(probabilities.values())[-1]
        return cls(
            waveforms=batch.normalised_BXT[window].cpu().numpy(),
            peaks=np.where(np.ptp(raw_XT, axis=-1) > 0, np.abs(detrend(raw_XT)).max(axis=-1), 0.0),
            probabilities=probabilities,
            marks={
                phase: Marks.of(last_CT[row], arrivals[phase], thresholds[phase], config)
                for row, phase in enumerate(PHASES)
            },
            thresholds=thresholds,
        )

    @property
    def title(self) -> str:
        """`P found; S missed; false pick of S`."""
        by_end = {"found": "{} found", "missed": "{} missed", "false": "false pick of {}", "unknown": "pick of {}"}
        named = {end: " and ".join(phase for phase in PHASES if len(getattr(self.marks[phase], end))) for end in by_end}
        return "; ".join(by_end[end].format(phases) for end, phases in named.items() if phases)


class Examples:
    """The first window of each kind, the plainest that there is."""

    def __init__(self, thresholds: Mapping[str, float], config: PickConfig) -> None:
        self.thresholds, self.config = thresholds, config
        self._found: dict[str, tuple[int, int, Example]] = {}
        self._seen = 0

    def look(
        self, batch: Batch, arrivals: Arrivals, probabilities: Mapping[str, np.ndarray], counted_BPF: np.ndarray
    ) -> None:
        """Take what is there of a batch. `probabilities` (B, C, T) by name of the file; `counted_BPF`: true, false and
        missed of the last one."""
        for window, counts_PF in enumerate(counted_BPF):
            for kind, rank in zip(KINDS, _ranks(counts_PF), strict=True):
                if rank is not None and (kind not in self._found or rank < self._found[kind][0]):
                    its = {name: values_BCT[window] for name, values_BCT in probabilities.items()}
                    example = Example.of(batch, window, arrivals[window], its, self.thresholds, self.config)
                    self._found[kind] = rank, self._seen + window, example
        self._seen += len(counted_BPF)

    @property
    def by_kind(self) -> dict[str, Example]:
        """A window that is the example of two kinds is there once."""
        shown: dict[int, tuple[str, Example]] = {}
        for kind in KINDS:
            if kind in self._found:
                _, place, example = self._found[kind]
                shown.setdefault(place, (kind, example))
        return dict(shown.values())


def _ranks(counts_PF: np.ndarray) -> list[int | None]:
    """How plain an example of each kind a window is, 0 the plainest; None where it is none."""
    true_P, false_P, missed_P = counts_PF.T > 0
    tests = (
        (
            true_P.all() and not (false_P | missed_P).any(),
            true_P.any() and not (false_P | missed_P).any(),
            true_P.any(),
        ),
        (missed_P.any() and not false_P.any(), missed_P.any()),
        (false_P.any() and not missed_P.any(), false_P.any()),
    )
    return [next((rank for rank, holds in enumerate(of_kind) if holds), None) for of_kind in tests]


def example_picks(examples: Mapping[str, Example], path: Path) -> None:
    """A column for each: three components and the probabilities, around the arrivals and picks of the window."""
    figure = Figure(figsize=(max(8.0, 5.2 * len(examples)), 7.4), layout="constrained")
    columns = figure.subplots(
        len(COMPONENT_ORDER) + 1, len(examples), sharex="col", squeeze=False, height_ratios=[1, 1, 1, 1.5]
    ).T
    for (kind, example), column in zip(examples.items(), columns, strict=True):
        _draw(column, example)
        column[0].set_title(f"{kind}: {example.title}", fontsize=10, pad=16)
    for axes, component in zip(columns[0], COMPONENT_ORDER, strict=False):
        axes.set_ylabel(f"{component}\n(share of\nits peak)", rotation=0, labelpad=28, va="center")
    columns[0][-1].set_ylabel("probability")
    shown = list(examples.values())
    figure.legend(handles=_legend(shown), loc="outside lower center", ncols=5, frameon=False, fontsize=9)
    name = list(shown[0].probabilities)[-1]
    figure.suptitle(f"windows of dev, picks of {name}; peaks in the unit of the data set", fontsize=10)
    save(figure, path)


def _draw(column: Sequence[Axes], example: Example) -> None:
    *component_axes, bottom = column
    time_s = np.arange(example.waveforms.shape[-1]) / SAMPLING_RATE_HZ
    for axes, trace_T, peak in zip(component_axes, example.waveforms, example.peaks, strict=True):
        axes.plot(time_s, trace_T, color=GREY, linewidth=0.6)
        axes.set(yticks=[-1, 0, 1], ylim=(-1.15, 1.15))
        said = f"peak {peak:,.0f}" if peak >= 100 else f"peak {peak:.3g}" if peak else "dead: no signal"
        axes.text(0.01, 0.94, said, transform=axes.transAxes, fontsize=8, va="top", bbox=_PAPER, zorder=5)
        if not peak:
            axes.set_facecolor("#eeeeee")
    for probabilities_CT, style in zip(example.probabilities.values(), ("-", "--"), strict=False):
        for phase, probability_T in zip(PHASES, probabilities_CT, strict=False):
            colour = PHASE_COLOUR[phase] if style == "-" else BLACK
            bottom.plot(time_s, probability_T, style, color=colour, linewidth=1.6 if style == "-" else 1)
    for phase, threshold in example.thresholds.items():
        bottom.axhline(threshold, color=PHASE_COLOUR[phase], linestyle=_THRESHOLD_STYLE[phase], linewidth=1)
    for axes in column:
        _mark_times(axes, example, with_symbols=axes is column[0])
    bottom.set(xlabel="time in window (s)", ylim=(0, 1.02), xlim=_shown_s(example))


def _mark_times(axes: Axes, example: Example, with_symbols: bool) -> None:
    """Arrivals black and dotted, picks coloured; symbols above the frame say which are right."""
    for phase, marks in example.marks.items():
        for arrival in (*marks.found, *marks.missed):
            axes.axvline(arrival / SAMPLING_RATE_HZ, color=BLACK, linewidth=1.2, linestyle=_ARRIVAL_STYLE[phase])
        for pick in (*marks.true, *marks.false, *marks.unknown):
            axes.axvline(pick / SAMPLING_RATE_HZ, color=PHASE_COLOUR[phase], linewidth=1.4)
        if not with_symbols:
            continue
        for samples, look in (
            (np.append(marks.true, marks.unknown), _of_pick(phase)),
            (marks.false, _of_false(phase)),
            (marks.missed, _MISSED),
        ):
            if len(samples):  # of an empty line matplotlib does not know the extent
                times_s, above = samples / SAMPLING_RATE_HZ, [ABOVE] * len(samples)
                axes.plot(times_s, above, transform=axes.get_xaxis_transform(), clip_on=False, **look)


def _of_pick(phase: str) -> dict[str, Any]:
    return {"marker": _PICK_MARKER[phase], "color": PHASE_COLOUR[phase], "linestyle": "none"}


def _of_false(phase: str) -> dict[str, Any]:
    return {"marker": "X", "color": PHASE_COLOUR[phase], "linestyle": "none", "markersize": 8}


_MISSED: dict[str, Any] = {
    "marker": "o", "color": BLACK, "markerfacecolor": "none", "linestyle": "none", "markersize": 8,
}  # fmt: skip


def _legend(shown: Sequence[Example]) -> list[Line2D]:
    """What is there to be seen, and nothing else."""

    def any_of(phase: str, *ends: str) -> bool:
        return any(len(getattr(example.marks[phase], end)) for example in shown for end in ends)

    entries: list[tuple[bool, str, dict[str, Any]]] = []
    for phase in PHASES:
        arrival = {"color": BLACK, "linestyle": _ARRIVAL_STYLE[phase]}
        entries += [
            (any_of(phase, "found", "missed"), f"{phase} arrival", arrival),
            (any_of(phase, "true", "unknown"), f"{phase} pick", _of_pick(phase)),
            (any_of(phase, "false"), f"false {phase} pick", _of_false(phase)),
        ]
    entries.append((any(any_of(phase, "missed") for phase in PHASES), "arrival missed", _MISSED))
    first, *others = shown[0].probabilities
    for phase in PHASES:
        colour, threshold = PHASE_COLOUR[phase], shown[0].thresholds[phase]
        entries += [
            (True, f"{phase} probability, {first}", {"color": colour}),
            (True, f"{phase} threshold {threshold:g}", {"color": colour, "linestyle": _THRESHOLD_STYLE[phase]}),
        ]
    entries += [(True, f"probabilities, {name}", {"color": BLACK, "linestyle": "--"}) for name in others]
    return [Line2D([], [], label=label, **look) for is_there, label, look in entries if is_there]


def _shown_s(example: Example) -> tuple[float, float]:
    """From a little before the first arrival or pick to some coda after the last."""
    times_s = np.concatenate([samples for marks in example.marks.values() for samples in marks]) / SAMPLING_RATE_HZ
    end_s = (example.waveforms.shape[-1] - 1) / SAMPLING_RATE_HZ
    if not len(times_s):
        return 0.0, end_s
    return max(0.0, times_s.min() - BEFORE_S), min(end_s, times_s.max() + AFTER_S)
