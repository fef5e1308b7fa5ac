"""A picker as a candidate: FP32 and INT8 ONNX on the same windows, at the thresholds chosen on dev."""

# B batch, C class (P, S, noise), F field of counts, G event, N window, P phase, T time sample

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from torch import nn

from trainables.data.batches import Arrivals, Batch, DevWindows
from trainables.data.catalog import check_each
from trainables.data.config import COMPONENT_ORDER, PHASES, WINDOW_SAMPLES
from trainables.data.seal import SEALED, Opening
from trainables.data.stream_batches import open_dev
from trainables.data.streams import which_held_out
from trainables.data.windowing import Windowing
from trainables.data.windows import which_test_split
from trainables.distillation import DistillationConfig, build_taught, load_second_teacher, load_taught_by
from trainables.evaluation.agreement import count_against, references_of
from trainables.evaluation.card_scores import picking_scores
from trainables.evaluation.event_scores import Probabilities
from trainables.evaluation.picks import WindowArrivals, fields_of_windows
from trainables.export.artifacts import EVALUATION_BATCH, FP32_FILE, INT8_FILE
from trainables.export.onnx import STATED, OnnxPicker
from trainables.models.interface import Interface
from trainables.promotion.candidate import FP32, INT8, Measured, digests_of
from trainables.training.agreeing import second_opinion
from trainables.training.config import PickerTrainingConfig

HEADLINES = (
    "f1",
    "p_f1",
    "p_precision",
    "p_recall",
    "p_residual_mae_s",
    "s_f1",
    "s_precision",
    "s_recall",
    "s_residual_mae_s",
    "false_picks_per_hour",
)


def pair_in(folder: Path) -> Path | None:
    """The stem of the weights for SeisBench in a trial's folder."""
    return next((file.with_name(file.name.partition(".")[0]) for file in sorted(folder.glob("*.pt.v*"))), None)


@dataclass(frozen=True)
class Windows:
    """Windows of one split, with the answers of a second teacher where there is one."""

    dev: DevWindows
    second: Probabilities | None

    def batches(self) -> Iterator[tuple[Batch, Arrivals, np.ndarray | None]]:
        """Windows, what is true in them, and what the second teacher answers (B, C, T)."""
        for batch, arrivals in self.dev.batches(EVALUATION_BATCH):
            yield batch, arrivals, None if self.second is None else self.second(batch)

    @property
    def set_of_window(self) -> np.ndarray:
        """Of which data set each window is, by its place among those that are named."""
        return np.repeat(np.arange(len(self.dev.windows)), [len(its.trace_B) for its in self.dev.windows])


@dataclass(frozen=True)
class PickerCandidate:
    """The files that distillation and picking leave of a student."""

    config: PickerTrainingConfig
    models: dict[str, Path]
    thresholds: Mapping[str, float]
    """Of P and S, as dev has chosen them."""
    stated: Mapping[str, str] = field(default_factory=dict)
    """What a caller must know, as the files say it."""
    input_shape: tuple[int, int] = (len(COMPONENT_ORDER), WINDOW_SAMPLES)
    headlines: tuple[str, ...] = HEADLINES
    pair: Path | None = None
    """Stem of its weights for SeisBench; None of a network that SeisBench cannot load."""

    @classmethod
    def of(cls, config: PickerTrainingConfig, folder: Path) -> PickerCandidate:
        """From a trial's folder of files. Raises ValueError where it holds no ONNX picker."""
        if not (folder / FP32_FILE).is_file():
            raise ValueError(
                f"there is no {FP32_FILE} among its files: a training with export.enabled=false has none, nor a "
                "network that cannot be written as ONNX, nor a PhaseNet that an earlier version has trained"
            )
        models = {FP32: folder / FP32_FILE}
        if (folder / INT8_FILE).is_file():
            models[INT8] = folder / INT8_FILE
        picker = OnnxPicker(models[FP32])
        thresholds = {phase: float(picker.metadata[f"{phase}_threshold"]) for phase in PHASES}
        stated = {key: picker.metadata[key] for key in STATED if key in picker.metadata}
        input_shape = len(COMPONENT_ORDER), picker.window_samples
        return cls(config, models, thresholds, stated, input_shape, pair=pair_in(folder))

    @property
    def digests(self) -> str:
        return digests_of(self.models.values())

    @property
    def facts(self) -> dict[str, object]:
        return {**self.stated, "thresholds": dict(self.thresholds), "tolerance_s": self.config.picks.tolerance_s}

    @property
    def test_split(self) -> str:
        data = self.config.data
        if not data.has_dataset:
            return which_held_out(data)
        check_each(data, splits=(SEALED,))
        return which_test_split(data)

    def measure(self, split: Literal["dev", "test"], opening: Opening | None = None) -> Measured:
        windows = self.windows(split, opening, self.input_shape[1])
        pickers = {name: OnnxPicker(file) for name, file in self.models.items()}
        counts: dict[str, list[np.ndarray]] = {name: [] for name in pickers}
        for batch, arrivals, second_BCT in windows.batches():
            for name, picker in pickers.items():
                probabilities_BCT = picker.of_batch(batch)
                for b, of_window in enumerate(arrivals):
                    heard_CT = None if second_BCT is None else second_BCT[b]
                    counts[name].append(self.count(probabilities_BCT[b], of_window, heard_CT, self.thresholds))
        event_N = windows.dev.events
        return Measured(
            {
                name: picking_scores(np.stack(counts_NPF), event_N, self.thresholds, split)
                for name, counts_NPF in counts.items()
            },
            windows=len(windows.dev),
            events=len(np.unique(event_N)),
        )

    def windows(self, split: Literal["dev", "test"], opening: Opening | None, window_samples: int) -> Windows:
        """Those of one split, of this length. Raises ValueError where a test split is sealed."""
        assert (split == SEALED) == (opening is not None)
        second, around = self._second()
        windowing = Windowing(window_samples, around)
        return Windows(open_dev(self.config.data, self._reference(), windowing, opening=opening), second)

    def _reference(self) -> nn.Module | None:
        """Whose picks are the reference; None where labels are."""
        if self.config.data.has_dataset:
            return None
        assert isinstance(self.config, DistillationConfig)
        return load_taught_by(self.config)

    def _second(self) -> tuple[Probabilities | None, int]:
        """A second teacher, where what it picks too is the reference."""
        if self.config.data.has_dataset:
            return None, 0
        assert isinstance(self.config, DistillationConfig)
        student: Interface = build_taught(self.config).interface
        return second_opinion(load_second_teacher(self.config), student)

    def count(
        self,
        answer_CT: np.ndarray,
        of_window: WindowArrivals,
        second_CT: np.ndarray | None,
        thresholds: Mapping[str, float],
    ) -> np.ndarray:
        """Fields (phase, field) of one window, from a picker's answer at its thresholds."""
        if second_CT is None:
            return fields_of_windows(answer_CT[None], [of_window], thresholds, self.config.picks)[0]
        threshold = self.config.data.streams_threshold
        references = references_of(of_window, second_CT, threshold, self.config.picks)
        return count_against(answer_CT, references, thresholds, self.config.picks)
