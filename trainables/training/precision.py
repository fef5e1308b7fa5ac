"""Which arithmetic a training step uses."""

from __future__ import annotations

from typing import Literal

import torch


def has_bf16(device: torch.device) -> bool:
    """Whether the device computes in bfloat16 natively; emulation would be slower than float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        capabilities: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
        return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16", "sve_bf16"))
    return False


def autocast(device: torch.device, precision: Literal["auto", "bf16", "fp32"]) -> torch.autocast:
    """Context of a training step; off where `precision` or the device says float32."""
    enabled = precision == "bf16" or (precision == "auto" and has_bf16(device))
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=enabled)
