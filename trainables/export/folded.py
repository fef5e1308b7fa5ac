"""XiaoNet as it is exported: the same function, with successive samples folded into channels where those are few.

The kernels of onnxruntime compute 16 channels at once, and its 8-bit ones copy three samples' channels for every sample
that they compute. A level of 8 channels and 3,008 samples is faster as one of 32 channels and 752 blocks of four
samples, although its convolutions have more products then, most of them with zero. What joins a level in blocks from
below need not be upsampled, or less: taps that meet the same sample of it are one, their sum.
"""

# B batch, X component (E, N, Z), C channel or class, O output channel, P place of a sample within its block, F channel
# of a fold (P C: all channels of the first place, of the second, ...), K tap, 1 a height of one, T sample, or block of
# samples

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from trainables.export.once import Fold
from trainables.models.fast_layers import FastConv1d, JoinConv1d
from trainables.models.wide_context import WideContext
from trainables.models.xiaonet import LEVELS, XiaoNet

CHANNELS_AT_ONCE = 16
"""By a kernel. Levels of fewer are folded, in FP32 up to so many: more would cost more products than it saves."""
INT8_CHANNELS = 32
"""In INT8 up to so many, and the first level, whose samples are most, whatever its channels."""
CLASS_FOLD, INT8_CLASS_FOLD = 4, 8
"""Fold of the logits, of which there are three a sample; the first level's where that is longer."""


class FoldedXiaoNet(nn.Module):
    """Prepared windows (B, X, T) to probabilities (B, C, T), as `model` answers in eval mode; `model` is changed.

    `for_int8`: the graph that is fastest in INT8. There onnxruntime computes channels last, where a fold is no work: it
    is written as two transpositions around a new shape, and onnxruntime removes them.
    """

    def __init__(self, model: XiaoNet, for_int8: bool) -> None:
        super().__init__()
        self.pooling, self.window_len, self.num_classes = model.pooling, model.window_len, model.num_phases
        self.channels_last = for_int8
        longest = self.pooling**LEVELS
        self.num_samples = model._fit_length(torch.empty(1, 1, self.window_len)).shape[-1]
        widths = [model.base_channels << level for level in range(LEVELS + 1)]
        self.folds = [
            _fold(width, level, longest // self.pooling**level, for_int8) for level, width in enumerate(widths)
        ]
        self.class_fold = min(max(self.folds[0], INT8_CLASS_FOLD if for_int8 else CLASS_FOLD), longest)
        with torch.no_grad():
            in_two_dimensions(model)
            self.encoder = nn.ModuleList(self._level(model.encoder[level], level) for level in range(LEVELS))
            self.bottleneck = self._level(model.bottleneck, LEVELS)
            self.decoder = nn.ModuleList(
                self._level(block, level, joins=True)
                for level, block in zip(reversed(range(LEVELS)), model.decoder, strict=True)
            )
            head: nn.Module = model.head
            assert isinstance(head, nn.Conv2d)
            self.head = FoldedConv2d(head, self.class_fold, [Part(self.folds[0])], classes_first=True)

    @property
    def weights(self) -> dict[str, Fold]:
        """The folded ones, by name."""
        convs = {name: module for name, module in self.named_modules() if isinstance(module, FoldedConv2d)}
        return {f"{name}.weight": conv.fold for name, conv in convs.items() if conv.fold.places > 1}

    def forward(self, x_BXT: Tensor) -> Tensor:
        y_BF1T = self._fit_length(x_BXT.unsqueeze(2))
        skips = []
        for level, block in enumerate(self.encoder):
            y_BF1T = block(y_BF1T)
            skips.append(y_BF1T)
            y_BF1T = self._pooled(y_BF1T, self.folds[level], self.folds[level + 1])
        y_BF1T = self.bottleneck(y_BF1T)
        for level, block in zip(reversed(range(LEVELS)), self.decoder, strict=True):
            risen_BF1T = self._risen(y_BF1T, self.folds[level + 1], self.folds[level])
            y_BF1T = block(torch.cat([skips.pop(), risen_BF1T], dim=1))
        logits_BCT = self.head(y_BF1T).reshape(-1, self.num_classes, self.num_samples)
        return self._restore_length(_softmax(logits_BCT))

    def _fit_length(self, x_BX1T: Tensor) -> Tensor:
        missing = self.num_samples - self.window_len
        return x_BX1T[..., : self.num_samples] if missing <= 0 else F.pad(x_BX1T, (0, missing))

    def _restore_length(self, y_BCT: Tensor) -> Tensor:
        """Out of the blocks (of each class the first places of all, the second, ...), and back to the window."""
        length = self.num_samples // self.class_fold
        y_BCPT = y_BCT.reshape(-1, self.num_classes, self.class_fold, length)
        y_BCT = y_BCPT.transpose(2, 3).reshape(-1, self.num_classes, self.num_samples)
        missing = self.window_len - self.num_samples
        if missing <= 0:
            return y_BCT[..., : self.window_len]
        return torch.cat([y_BCT, y_BCT[..., -1:].expand(-1, -1, missing)], dim=-1)

    def _pooled(self, y_BF1T: Tensor, fold: int, after: int) -> Tensor:
        """Maxima over `pooling` samples, from blocks of `fold` to blocks of `after`."""
        if self.channels_last:
            apart_BC1T = self._refolded(y_BF1T, fold, 1)
            return self._refolded(F.max_pool2d(apart_BC1T, (1, self.pooling)), 1, after)
        within = min(fold, self.pooling)  # a block; the rest of a pooling is over blocks
        if within < self.pooling:
            y_BF1T = F.max_pool2d(y_BF1T, (1, self.pooling // within))
        _, channels, _, length = y_BF1T.shape
        y_BPFT = y_BF1T.reshape(-1, fold // within, channels * within // fold, length)
        while y_BPFT.shape[2] > channels // fold:
            y_BPFT = torch.maximum(*y_BPFT.chunk(2, dim=2))  # the first half of the places and the second
        return self._refolded(y_BPFT.reshape(-1, channels // within, 1, length), fold // within, after)

    def _risen(self, y_BF1T: Tensor, fold: int, above: int) -> Tensor:
        """What comes from below in blocks of `fold`, as it joins a level in blocks of `above`."""
        repeats, places = _rise(self.pooling, above)
        if repeats == 1:
            return self._refolded(y_BF1T, fold, places)
        y_BC1T = self._refolded(y_BF1T, fold, 1)
        if self.channels_last:
            return self._refolded(torch.cat([y_BC1T] * repeats, dim=1), repeats, places)
        return F.interpolate(y_BC1T, scale_factor=(1.0, float(repeats)), mode="nearest")

    def _refolded(self, y_BF1T: Tensor, fold: int, after: int) -> Tensor:
        """From blocks of `fold` samples to blocks of `after`."""
        if fold == after:
            return y_BF1T
        _, channels, _, length = y_BF1T.shape
        channels, length = channels * after // fold, length * fold // after
        if self.channels_last:
            return y_BF1T.permute(0, 2, 3, 1).reshape(-1, 1, length, channels).permute(0, 3, 1, 2)
        if fold < after:
            y_BFTP = y_BF1T.reshape(-1, channels * fold // after, length, after // fold)
            return y_BFTP.permute(0, 3, 1, 2).reshape(-1, channels, 1, length)
        y_BPFT = y_BF1T.reshape(-1, fold // after, channels, length * after // fold)
        return y_BPFT.permute(0, 2, 3, 1).reshape(-1, channels, 1, length)

    def _level(self, block: nn.Module, level: int, joins: bool = False) -> nn.Sequential:
        """Two convolutions, the first perhaps of a join, each with normalisation and ReLU, and what follows them."""
        assert isinstance(block, nn.Sequential)
        fold = self.folds[level]
        within = Part(fold)
        first = [within] if level else [Part(1)]  # the waveforms are not folded
        if joins:
            _, places = _rise(self.pooling, fold)
            first = [within, Part(places, upsampled=fold // places)]
        layers: list[nn.Module] = []
        for layer in block:
            if isinstance(layer, nn.Conv2d):
                layers.append(FoldedConv2d(layer, fold, [within] if layers else first))
            elif isinstance(layer, nn.GroupNorm):
                layers.append(_repeated(layer, fold))
            elif isinstance(layer, WideContext):
                layers.append(_FarContext(layer))
            elif isinstance(layer, nn.ReLU):
                layers.append(layer)
        return nn.Sequential(*layers)


@dataclass(frozen=True)
class Part:
    """Of the input of a folded convolution; with two, the first has as many channels as there are outputs."""

    fold: int
    upsampled: int = 1
    """What is left to be done of nearest upsampling, by the weights."""


class FoldedConv2d(nn.Conv2d):
    """The convolution `conv` of three taps and (O, C, 1, 3), from blocks of its input to blocks of its output."""

    def __init__(self, conv: nn.Conv2d, fold: int, parts: list[Part], classes_first: bool = False) -> None:
        weight_OCK = conv.weight[:, :, 0]
        outputs = len(weight_OCK)
        pieces = [weight_OCK] if len(parts) == 1 else [weight_OCK[:, :outputs], weight_OCK[:, outputs:]]
        folded = [_folded(piece, fold, part) for piece, part in zip(pieces, parts, strict=True)]
        weight_POFK = torch.cat(folded, dim=2)
        kernel = weight_POFK.shape[3]
        channels = weight_POFK.shape[2]
        super().__init__(channels, fold * outputs, (1, kernel), stride=(1, kernel - 2), padding=(0, 1))
        assert conv.bias is not None
        bias_PO = conv.bias.expand(fold, outputs)
        if classes_first:
            weight_POFK, bias_PO = weight_POFK.transpose(0, 1), bias_PO.transpose(0, 1)
        self.weight = nn.Parameter(weight_POFK.reshape(fold * outputs, channels, 1, kernel))
        self.bias = nn.Parameter(bias_PO.reshape(fold * outputs))
        inputs = tuple((piece.shape[1] * part.fold, part.fold) for piece, part in zip(pieces, parts, strict=True))
        self.fold = Fold(fold, inputs, classes_first)


def _folded(weight_OCK: Tensor, fold: int, part: Part) -> Tensor:
    """(P, O, F, K) from (O, C, 3): place p of an output meets, by tap k, sample p + k - 1 of the block.

    Where the output's blocks are longer than the input's, the convolution goes on by several blocks at once.
    """
    outputs, channels, _ = weight_OCK.shape
    step = fold // (part.fold * part.upsampled)
    folded_POPCK = weight_OCK.new_zeros(fold, outputs, part.fold, channels, step + 2)
    for place in range(fold):
        for tap in range(3):
            block, at = divmod((place + tap - 1) // part.upsampled, part.fold)
            folded_POPCK[place, :, at, :, block + 1] += weight_OCK[:, :, tap]
    return folded_POPCK.reshape(fold, outputs, part.fold * channels, step + 2)


def _fold(channels: int, level: int, longest: int, for_int8: bool) -> int:
    """Samples of a block, a power of two."""
    most = INT8_CHANNELS if for_int8 and (level == 0 or channels < CHANNELS_AT_ONCE) else CHANNELS_AT_ONCE
    fold = 1
    while 2 * fold * channels <= most and 2 * fold <= longest:
        fold *= 2
    return fold


def _rise(pooling: int, above: int) -> tuple[int, int]:
    """How often samples from below are repeated to join blocks of `above`, and in blocks of how many they come."""
    places = max(1, above // pooling)
    return pooling * places // above, places


def _repeated(norm: nn.GroupNorm, fold: int) -> nn.GroupNorm:
    """One group knows no order."""
    assert norm.num_groups == 1
    repeated = nn.GroupNorm(1, fold * norm.num_channels, norm.eps)
    repeated.weight, repeated.bias = (nn.Parameter(values.repeat(fold)) for values in (norm.weight, norm.bias))
    return repeated


def _softmax(logits_BCT: Tensor) -> Tensor:
    """Over classes. onnxruntime's own moves the classes last, and takes five times as long for these three."""
    classes = logits_BCT.shape[1]
    largest_B1T, *others = logits_BCT.split(1, dim=1)
    for other_B1T in others:
        largest_B1T = torch.maximum(largest_B1T, other_B1T)
    e_BCT = torch.exp(logits_BCT - largest_B1T)
    return e_BCT / (torch.ones(classes, classes) @ e_BCT)


class _FarContext(nn.Module):
    """`WideContext`; the mean over the window is mixed once instead of at every sample."""

    def __init__(self, context: WideContext) -> None:
        super().__init__()
        self.around = context.around
        mix = context.mix
        assert isinstance(mix, nn.Conv2d)
        channels = mix.out_channels
        self.mix, self.mix_mean = (nn.Conv2d(channels, channels, 1, bias=bias) for bias in (True, False))
        self.mix.weight, self.mix.bias = nn.Parameter(mix.weight[:, :channels].clone()), mix.bias
        self.mix_mean.weight = nn.Parameter(mix.weight[:, channels:].clone())

    def forward(self, x_BC1T: Tensor) -> Tensor:
        mean_BC11 = self.mix_mean(x_BC1T.mean(dim=3, keepdim=True))
        return x_BC1T + (self.mix(self.around(x_BC1T)) + mean_BC11)


def in_two_dimensions(plain: nn.Module) -> None:
    """In place: `Conv2d` for our convolutions, batch normalisation folded into it. A join is left with its weights."""
    for parent in list(plain.modules()):
        for name, child in parent.named_children():
            if isinstance(child, FastConv1d | JoinConv1d):
                setattr(parent, name, _as_conv2d(child))
    for sequence in [module for module in plain.modules() if isinstance(module, nn.Sequential)]:
        for position in range(len(sequence)):
            layer, before = sequence[position], sequence[position - 1]
            if isinstance(layer, nn.BatchNorm2d) and isinstance(before, nn.Conv2d):
                sequence[position - 1] = fuse_conv_bn_eval(before, layer)
                sequence[position] = nn.Identity()


def _as_conv2d(conv: FastConv1d | JoinConv1d) -> nn.Conv2d:
    twin = nn.Conv2d(
        conv.in_channels,
        conv.out_channels,
        (1, conv.kernel_size[0]),
        stride=(1, conv.stride[0]),
        padding=(0, int(conv.padding[0])),
        dilation=(1, conv.dilation[0]),
        groups=conv.groups,
        bias=conv.bias is not None,
    )
    twin.weight = nn.Parameter(conv.weight.detach().unsqueeze(2))
    twin.bias = None if conv.bias is None else nn.Parameter(conv.bias.detach())
    return twin.eval()
