"""Networks as a user writes them, for the tests: one that works, and ones with something wrong."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Small(nn.Module):
    """Three convolutions over windows of 512 samples; width by argument, components and classes in another order."""

    window_samples = 512
    classes = "NPS"
    component_order = "ZNE"
    normalisation = "std"
    parts = {"encoder": ["down"], "backbone": ["middle"]}  # noqa: RUF012

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.down = nn.Conv1d(3, width, 7, padding=3)
        self.middle = nn.Conv1d(width, width, 7, padding=3)
        self.head = nn.Conv1d(width, 3, 7, padding=3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.relu(self.middle(torch.relu(self.down(x)))))


class Curves(Small):
    """The same with curves of their own."""

    classes = "DPS"


class Deeper(Small):
    """A layer more."""

    def __init__(self, width: int = 8) -> None:
        super().__init__(width)
        self.more = nn.Conv1d(width, width, 1)


class NoConvolution(nn.Module):
    """Nothing of it is quantized."""

    window_samples = 128

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(x.transpose(1, 2)).transpose(1, 2)


class Branching(NoConvolution):
    """What it computes hangs on the values of a window, which ONNX cannot write."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * (2.0 if float(x.abs().mean()) > 0.01 else 1.0)


class Short(NoConvolution):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)[..., :-1]


class DividesByStd(NoConvolution):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x / x.std(dim=-1, keepdim=True))


class Softmax(NoConvolution):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).softmax(dim=1)


class Detached(NoConvolution):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).detach()


class Pair(NoConvolution):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        return super().forward(x), x


class Crashes(NoConvolution):
    def forward(self, x: Tensor) -> Tensor:
        raise RuntimeError("out of\nideas")


class POnly(NoConvolution):
    classes = "PN"


class Median(NoConvolution):
    normalisation = "median"


class FewSamples(NoConvolution):
    window_samples = 10


class Vertical(NoConvolution):
    component_order = "Z"


no_class = 3
