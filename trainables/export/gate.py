"""The gate: whether an INT8 file deserves its name, and why not."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import Field, model_validator

from trainables.config import Config
from trainables.evaluation.bootstrap import paired_f1_difference
from trainables.evaluation.counts import EventCounts

RESAMPLES = 2000


class ExportConfig(Config):
    """ONNX files of a finished picker, and what its INT8 file must fulfil to be accepted."""

    enabled: bool = True
    """Whether a finished trial writes ONNX files, figures and the pair of files that SeisBench loads."""

    calibration_windows: int = Field(128, ge=1, le=10_000)
    """Number of training windows from which quantization takes the ranges of activations."""

    max_f1_loss: float = Field(0.02, ge=0, le=1)
    """How much lower than FP32's the dev F1 (mean of P and S) of INT8 may be, judged by a paired bootstrap over
    events."""

    calibrate: bool = False
    """Whether the probabilities of the best weights are calibrated on dev, so that of the peaks with probability 0.6
    six in ten are arrivals. It costs nothing at inference, and thresholds are chosen after it."""

    document_names: bool = False
    """Whether the files are also written under the names that XiaoNet's document uses: the best weights as
    checkpoint.pt, best_model.pth, final_model.pth and saved_model_fp32.pth; the accepted INT8 file, which is ONNX, as
    saved_model_int8.pth."""

    @model_validator(mode="after")
    def _calibrated_is_what_is_exported(self) -> ExportConfig:
        if self.calibrate and not self.enabled:
            raise ValueError("calibrate=true with enabled=false: only what is exported is calibrated")
        return self


MIN_SIZE_RATIO = 1.1
"""A file that is called smaller is so at least so many times."""


@dataclass(frozen=True)
class Loss:
    """F1 of FP32 minus F1 of INT8 on the same dev events, and how well that is known."""

    value: float
    low: float
    high: float
    """Ends of the 95 % interval, a paired bootstrap over events."""
    num_events: int

    @classmethod
    def of(cls, fp32: EventCounts, int8: EventCounts) -> Loss:
        return cls(*paired_f1_difference(fp32, int8, RESAMPLES, 0), len(fp32.events))

    def __str__(self) -> str:
        return f"{self.value:.3f}, 95 % interval {self.low:.3f} to {self.high:.3f} over {self.num_events} dev events"


@dataclass(frozen=True)
class QuantizedPicker:
    """What was measured of an INT8 file beside its FP32 original."""

    fp32_bytes: int
    int8_bytes: int
    conv_share: float
    """Share of convolutions that run in INT8, 0 to 1."""
    fp32_f1: float
    int8_f1: float
    loss: Loss
    latency_ratio: float | None = None
    """INT8 latency over FP32 latency; None where it was not measured."""

    @property
    def size_ratio(self) -> float:
        return self.fp32_bytes / self.int8_bytes

    @property
    def is_slower(self) -> bool:
        return self.latency_ratio is not None and self.latency_ratio > 1


@dataclass(frozen=True)
class Verdict:
    """The gate's decision, in sentences."""

    accepted: bool
    reasons: tuple[str, ...]
    """Why it was refused, one sentence for each rule broken; where accepted, what was found."""
    slower: bool = False
    """INT8 takes more time than FP32, which is no refusal: it is smaller all the same."""

    @property
    def word(self) -> str:
        """accepted, or accepted but slower than FP32, or refused."""
        return f"accepted{', slower' if self.slower else ''}" if self.accepted else "refused"

    def __str__(self) -> str:
        return f"{self.word}: {' '.join(self.reasons)}"


def judge(picker: QuantizedPicker, config: ExportConfig) -> Verdict:
    """Refuse a file that is not smaller, has no INT8 convolution, picks nothing or loses more F1 than allowed.

    Where the interval of the loss lies on one side of what is allowed, it decides; where it lies on both, its middle
    does, and the sentence says that these events cannot tell.
    """
    scores = f"dev F1 {picker.int8_f1:.3f} against {picker.fp32_f1:.3f} in FP32"
    refusals = []
    if not picker.size_ratio >= MIN_SIZE_RATIO:
        refusals.append(
            f"The INT8 file is not smaller: {picker.int8_bytes:,} bytes against {picker.fp32_bytes:,} in FP32, "
            f"{picker.size_ratio:.2f} times; at least {MIN_SIZE_RATIO:g} times is required."
        )
    if picker.conv_share <= 0:
        refusals.append("No convolution runs in INT8.")
    if not picker.int8_f1 > 0:
        refusals.append(f"INT8 finds nothing ({scores}).")
    if not picker.loss.value <= config.max_f1_loss + 1e-9:
        refusals.append(
            f"INT8 loses more F1 than {config.max_f1_loss:g} ({scores}; {picker.loss}"
            f"{_doubt(picker.loss, config.max_f1_loss)})."
        )
    if refusals:
        return Verdict(accepted=False, reasons=tuple(refusals), slower=picker.is_slower)
    time = f", {picker.latency_ratio:.2f} times as long" if picker.latency_ratio is not None else ""
    found = (
        f"{picker.size_ratio:.2f} times smaller{time}, {picker.conv_share:.0%} of convolutions in INT8, {scores}: "
        f"a loss of {picker.loss}{_doubt(picker.loss, config.max_f1_loss)}."
    )
    return Verdict(accepted=True, reasons=(found,), slower=picker.is_slower)


def _doubt(loss: Loss, allowed: float) -> str:
    if loss.low <= allowed < loss.high:
        return f", which cannot tell whether it is more than {allowed:g}"
    return ""
