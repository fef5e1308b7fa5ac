"""The gate: whether an INT8 file deserves its name, and why not."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import Field

from trainables.config import Config


class ExportConfig(Config):
    """ONNX files of a finished picker and what its INT8 file must fulfil."""

    enabled: bool = True
    """Whether a finished run writes ONNX files, figures and the SeisBench pair."""

    calibration_windows: int = Field(128, ge=1, le=10_000)
    """Training windows from which quantization takes the ranges of activations."""

    max_f1_loss: float = Field(0.02, ge=0, le=1)
    """Largest dev F1 (mean of P and S) that INT8 may lose against FP32."""


@dataclass(frozen=True)
class QuantizedPicker:
    """What was measured of an INT8 file beside its FP32 original."""

    fp32_bytes: int
    int8_bytes: int
    conv_share: float
    """Share of convolutions that run in INT8, 0 to 1."""
    fp32_f1: float
    int8_f1: float

    @property
    def f1_loss(self) -> float:
        return self.fp32_f1 - self.int8_f1

    @property
    def size_ratio(self) -> float:
        return self.fp32_bytes / self.int8_bytes


@dataclass(frozen=True)
class Verdict:
    """The gate's decision, in sentences."""

    accepted: bool
    reasons: tuple[str, ...]
    """Why it was refused, one sentence for each rule broken; where accepted, what was found."""

    def __str__(self) -> str:
        return f"{'accepted' if self.accepted else 'refused'}: {' '.join(self.reasons)}"


def judge(picker: QuantizedPicker, config: ExportConfig) -> Verdict:
    """Refuse a file that is not smaller, has no INT8 convolution or loses more F1 than allowed."""
    scores = f"dev F1 {picker.int8_f1:.3f} against {picker.fp32_f1:.3f} in FP32"
    refusals = []
    if picker.int8_bytes >= picker.fp32_bytes:
        refusals.append(
            f"The INT8 file is not smaller: {picker.int8_bytes:,} bytes against {picker.fp32_bytes:,} in FP32."
        )
    if picker.conv_share <= 0:
        refusals.append("No convolution runs in INT8.")
    if not picker.f1_loss <= config.max_f1_loss + 1e-9:
        refusals.append(f"INT8 loses {picker.f1_loss:.3f} of F1 ({scores}); at most {config.max_f1_loss:g} is allowed.")
    if refusals:
        return Verdict(accepted=False, reasons=tuple(refusals))
    found = f"{picker.size_ratio:.2f} times smaller, {picker.conv_share:.0%} of convolutions in INT8, {scores}."
    return Verdict(accepted=True, reasons=(found,))
