"""Classification of whole waveforms: a representation and a head whose class-activation maps come for nothing."""

# B batch, C channel, D width, K class, L token, X component (E, N, Z), T time sample

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from trainables.config import Config
from trainables.models.padding import mean_over_time, zero_padding
from trainables.models.representation import Representation
from trainables.models.representation_config import RepresentationConfig


class HeadConfig(Config):
    """The double-convolution head."""

    dropout: float = Field(0.2, ge=0, lt=1)
    """Dropout after each convolution; 0.3 if data are few or the model overfits."""

    norm: Literal["group", "batch"] = "group"
    """group: group normalisation (one group), which does not depend on the batch and was steadier at batch size 16.
    batch: batch normalisation, as in the published head."""


class ClassifierHead(nn.Module):
    """Two (convolution of kernel 3, norm, GELU, dropout), the mean over time, a linear layer to K logits."""

    def __init__(self, width: int, num_classes: int, config: HeadConfig) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv1d(width, width, 3, padding=1, bias=False) for _ in range(2))
        self.norms = nn.ModuleList(TokenNorm(width, config.norm) for _ in range(2))
        self.dropout = nn.Dropout(config.dropout)
        self.linear = nn.Linear(width, num_classes)

    def forward(self, x_BLD: Tensor, length_B: Tensor | None = None) -> Tensor:
        """Logits (B, K) of tokens (B, L, D)."""
        return self.linear(mean_over_time(self._evidence(x_BLD, length_B), length_B))

    def activation_map(self, x_BLD: Tensor, length_B: Tensor | None = None) -> Tensor:
        """(B, K, L): what each token says for each class (Zhou et al. 2016, arXiv:1512.04150).

        The mean over time is the logit, because the linear layer follows the mean. In eval mode.
        """
        return self.linear(self._evidence(x_BLD, length_B)).transpose(1, 2)

    def _evidence(self, x_BLD: Tensor, length_B: Tensor | None) -> Tensor:
        for conv, norm in zip(self.convs, self.norms, strict=True):
            y_BLD = conv(zero_padding(x_BLD, length_B).transpose(1, 2)).transpose(1, 2)
            x_BLD = self.dropout(F.gelu(norm(y_BLD, length_B)))
        return x_BLD


class TokenNorm(nn.Module):
    """Group normalisation with one group, or batch normalisation, of (B, L, D) with padding left out."""

    def __init__(self, width: int, norm: str) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(1, width) if norm == "group" else nn.BatchNorm1d(width)

    def forward(self, x_BLD: Tensor, length_B: Tensor | None) -> Tensor:
        if length_B is None or isinstance(self.norm, nn.BatchNorm1d):
            return self.norm(x_BLD.transpose(1, 2)).transpose(1, 2)
        mean_B11 = mean_over_time(x_BLD, length_B).mean(1)[:, None, None]
        variance_B11 = mean_over_time((x_BLD - mean_B11).square(), length_B).mean(1)[:, None, None]
        return (x_BLD - mean_B11) * (variance_B11 + self.norm.eps).rsqrt() * self.norm.weight + self.norm.bias


class Classifier(Representation):
    """Normalised waveforms (B, 3, T) to logits (B, K).

    Parts: `encoder`, `backbone`, `head`. Where everything below the head is frozen, `tokens` may be computed once
    and kept: `forward` takes them as well.
    """

    def __init__(self, config: RepresentationConfig, head: HeadConfig, num_classes: int) -> None:
        super().__init__(config)
        self.head = ClassifierHead(config.d_model, num_classes, head)

    def forward(
        self, x_BXT: Tensor | None, num_samples_B: Tensor | None = None, tokens_BLD: Tensor | None = None
    ) -> Tensor:
        if tokens_BLD is not None:
            return self.head(tokens_BLD)
        assert x_BXT is not None, "waveforms or their tokens"
        return self.head(*self.tokens(x_BXT, num_samples_B))

    def activation_map(self, x_BXT: Tensor) -> Tensor:
        """Class-activation maps (B, K, L); a token stands for 2 ** conv_layers samples."""
        return self.head.activation_map(*self.tokens(x_BXT))
