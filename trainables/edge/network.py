"""The model: an ONNX picker, and what its caller must know of it."""

# B window, C class (P, S, noise, detection), X component, T time sample

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

DEFAULT_THRESHOLD = 0.3


NEVER_PICKED = "ND"
"""Noise, and the detection of an earthquake."""

PEAK = ("demean", "detrend", "peak")
"""How counts are prepared where a model does not say it."""


RESIDUAL_STD = "residual_std_s"
"""Key of `model.json`, by phase; in a file's metadata `P_residual_std_s`, `S_residual_std_s`."""


@dataclass(frozen=True)
class Network:
    """A picker and what its caller must know."""

    name: str
    components: str
    classes: str
    rate_hz: float
    window_samples: int
    probabilities: Callable[[np.ndarray], np.ndarray]
    """Windows of counts (B, X, T) float32 to probabilities (B, C, T)."""
    thresholds: dict[str, float] = field(default_factory=dict)
    """By phase; a pick is at least as probable."""
    overlap: float = 1500
    """Of successive windows: samples, or below 1 a share of the window."""
    stacking: str = "avg"
    """How overlapping windows make one curve: avg or max."""
    blinding_samples: tuple[int, int] = (0, 0)
    """What is left out at the start and at the end of each window."""
    residual_std_s: dict[str, float] = field(default_factory=dict)
    """By phase: standard deviation of the residuals of its true picks on dev; empty where none is stored."""
    members: tuple[Network, ...] = ()
    """Of a mean of several networks (`mean.py`): these."""

    def __post_init__(self) -> None:
        for phase, threshold in self.thresholds.items():
            if not 0 < threshold <= 1:
                raise ValueError(f"threshold {threshold:g} of {phase} is not allowed: above 0, at most 1")
        if not 0 <= self.overlap_samples < self.window_samples:
            raise ValueError(f"overlap {self.overlap:g} is not allowed: 0 to {self.window_samples - 1} samples")
        if self.stacking not in ("avg", "max"):
            raise ValueError(f"stacking {self.stacking} is not allowed: avg or max")
        if min(self.blinding_samples) < 0 or sum(self.blinding_samples) >= self.window_samples:
            raise ValueError(f"blinding {self.blinding_samples} leaves none of {self.window_samples} samples")

    @property
    def overlap_samples(self) -> int:
        return int(self.overlap * self.window_samples if self.overlap < 1 else self.overlap)

    @property
    def phases(self) -> dict[str, int]:
        """Row of each class that is picked."""
        return {phase: row for row, phase in enumerate(self.classes) if phase not in NEVER_PICKED}

    def threshold(self, phase: str) -> float:
        return self.thresholds.get(phase, DEFAULT_THRESHOLD)


def load_onnx(path: Path, threads: int = 1) -> Network:
    """An ONNX picker, described by the `model.json` beside it or by its own metadata. Raises ValueError."""
    import onnxruntime

    if not path.is_file():
        raise ValueError(f"{path}: no such file")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    options.enable_mem_pattern = False  # it plans a tenth more memory, and gains nothing
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ValueError(f"{path} is not an ONNX model: {str(error).splitlines()[0]}") from None
    described = description(path, session.get_modelmeta().custom_metadata_map)
    try:
        components, classes = described["component_order"], described["classes"]
        rate_hz, window_samples = float(described["sampling_rate_hz"]), int(described["window_samples"])
        (entry,) = [given.name for given in session.get_inputs() if list(given.shape[1:]) == [3, window_samples]]
        (exit_,) = [given.name for given in session.get_outputs() if given.shape[1] == len(classes)]
        assert len(components) == 3
        assert "P" in classes or "S" in classes
        steps, stacking = steps_of(described), str(described.get("stacking", "avg"))
        before, after = (int(samples) for samples in str(described.get("blinding_samples", "0 0")).split())
    except (KeyError, ValueError, IndexError, AssertionError):
        raise ValueError(
            f"{path} is not a picker: it does not say sampling rate, component order, window and classes (P, S, noise);"
            " the models that distillation and picking leave behind do"
        ) from None

    def probabilities(raw_BXT: np.ndarray) -> np.ndarray:
        return session.run([exit_], {entry: prepared(raw_BXT, steps)})[0]

    return Network(
        path.name,
        components,
        classes,
        rate_hz,
        window_samples,
        probabilities,
        thresholds=described["thresholds"],
        residual_std_s=described["residual_std_s"],
        overlap=window_samples // 2,
        stacking=stacking,
        blinding_samples=(before, after),
    )


def description(path: Path, metadata: dict[str, str]) -> dict[str, Any]:
    """What a caller of an ONNX file must know, `thresholds` and `residual_std_s` by phase among it: the `model.json`
    beside it where that is about this file, else the file's own metadata. Older files have no `residual_std_s`, which
    is empty then. Raises ValueError in one line."""
    beside = path.with_name("model.json")
    try:
        described = json.loads(beside.read_text()) if beside.is_file() else {}
        if described.get("file") == path.name:
            by_phase = {"thresholds": described["thresholds"], RESIDUAL_STD: described.get(RESIDUAL_STD, {})}
            return described | {key: _numbers(values) for key, values in by_phase.items()}
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise ValueError(f"{beside}: not the description of a picker ({error!r})") from None
    by_phase = {"thresholds": _of_phases(metadata, "threshold"), RESIDUAL_STD: _of_phases(metadata, RESIDUAL_STD)}
    return {**metadata, **by_phase}


def told_model(folder: Path) -> Path | None:
    """The ONNX file that the `model.json` of a folder names; None where there is no such description. Raises
    ValueError in one line where that file is missing."""
    try:
        named = folder / json.loads((folder / "model.json").read_text())["file"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not named.is_file():
        raise ValueError(f"{named} is missing, which model.json beside it describes")
    return named


def models_in(folder: Path) -> list[Path]:
    """All ONNX files of a folder, that of `told_model` first."""
    named = told_model(folder)
    return [*([named] if named else []), *(file for file in sorted(folder.glob("*.onnx")) if file != named)]


def told_of_accuracy(model: Path) -> str:
    """F1 of a file on the test split, as the card in the `model.json` beside it has it; "" where it does not."""
    try:
        card = json.loads(model.with_name("model.json").read_text())["card"]
        return f"{card['metrics']['test']['int8' if 'int8' in model.name else 'fp32']['f1']['value']:.3f}"
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _of_phases(metadata: dict[str, str], name: str) -> dict[str, float]:
    return {phase: float(metadata[f"{phase}_{name}"]) for phase in "PS" if f"{phase}_{name}" in metadata}


def _numbers(by_phase: dict[str, Any]) -> dict[str, float]:
    return {phase: float(value) for phase, value in by_phase.items()}


def normalise(raw_BXT: np.ndarray) -> np.ndarray:
    """Subtract the mean and the linear trend, divide by the peak, along the last axis; float32."""
    num_samples = raw_BXT.shape[-1]
    ramp_T = np.arange(num_samples) - (num_samples - 1) / 2
    ramp_T *= (12 / (num_samples * max(1, num_samples**2 - 1))) ** 0.5  # of length 1
    raw_BXT = enlarged(raw_BXT)
    y_BXT = raw_BXT - raw_BXT.mean(axis=-1, keepdims=True, dtype=np.float64)
    y_BXT -= (y_BXT @ ramp_T)[..., None] * ramp_T
    y_BXT /= np.abs(y_BXT).max(axis=-1, keepdims=True) + 1e-10
    return y_BXT.astype(np.float32)


def enlarged(raw: np.ndarray, axis: int | tuple[int, ...] = -1) -> np.ndarray:
    """Waveforms whose greatest value along `axis` is below 1, multiplied by the power of two that brings it to 1 or
    more: records in metres have peaks of 1e-14, and 1e-10 is added to a peak before it divides. No digit changes."""
    peak = np.abs(raw).max(axis=axis, keepdims=True)
    is_small = (peak < 1) & (peak > 0)
    if not is_small.any():
        return raw
    return np.where(is_small, np.ldexp(raw, np.clip(1 - np.frexp(peak)[1], 0, 120)), raw)


def steps_of(described: Mapping[str, Any]) -> tuple[str, ...]:
    """How counts are prepared for a model, keys of STEPS. Raises ValueError for a step that is not known."""
    steps = tuple(str(described.get("normalisation_steps") or " ".join(PEAK)).split())
    if unknown := [step for step in steps if step not in STEPS]:
        raise ValueError(f"normalisation {', '.join(unknown)} is not known")
    return steps


def prepared(raw_BXT: np.ndarray, steps: tuple[str, ...]) -> np.ndarray:
    """Counts (B, X, T) as a model wants them, float32."""
    if steps == PEAK:
        return normalise(raw_BXT)
    y_BXT = enlarged(raw_BXT.astype(np.float64), axis=(1, 2))
    for step in steps:
        y_BXT = STEPS[step](y_BXT)
    return y_BXT.astype(np.float32)


def _detrend(y_BXT: np.ndarray) -> np.ndarray:
    num_samples = y_BXT.shape[-1]
    ramp_T = np.arange(num_samples) - (num_samples - 1) / 2
    ramp_T *= (12 / (num_samples * max(1, num_samples**2 - 1))) ** 0.5  # of length 1
    return y_BXT - (y_BXT @ ramp_T)[..., None] * ramp_T


def _taper(y_BXT: np.ndarray) -> np.ndarray:
    """The first and last six samples rise and fall as a cosine."""
    rise_T = 0.5 * (1 + np.cos(np.linspace(np.pi, 2 * np.pi, 6)))
    level_T = np.ones(y_BXT.shape[-1])
    level_T[:6], level_T[-6:] = rise_T, rise_T[::-1]
    return y_BXT * level_T


STEPS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "demean": lambda y_BXT: y_BXT - y_BXT.mean(axis=-1, keepdims=True),
    "detrend": _detrend,
    "peak": lambda y_BXT: y_BXT / (np.abs(y_BXT).max(axis=-1, keepdims=True) + 1e-10),
    "std": lambda y_BXT: y_BXT / (y_BXT.std(axis=-1, ddof=1, keepdims=True) + 1e-10),
    "std_of_all": lambda y_BXT: y_BXT / (y_BXT.std(axis=(-1, -2), ddof=1, keepdims=True) + 1e-10),
    "taper": _taper,
}
"""Ways to prepare waveforms, by their names in a model's description."""


def with_options(
    network: Network,
    *,
    p_threshold: float | None = None,
    s_threshold: float | None = None,
    overlap: float | None = None,
    stacking: str | None = None,
    blinding: Sequence[int] | None = None,
) -> Network:
    """The same network with what the user chose; None keeps its own. Raises ValueError."""
    given = {"P": p_threshold, "S": s_threshold}
    windows = {"overlap": overlap, "stacking": stacking, "blinding": blinding}
    return replace(
        network,
        members=tuple(with_options(member, **windows) for member in network.members),  # type: ignore[arg-type]
        thresholds=network.thresholds | {phase: value for phase, value in given.items() if value is not None},
        overlap=network.overlap if overlap is None else overlap,
        stacking=network.stacking if stacking is None else stacking,
        blinding_samples=network.blinding_samples if blinding is None else (blinding[0], blinding[1]),
    )
