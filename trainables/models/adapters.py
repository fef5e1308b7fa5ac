"""Networks behind one face: raw windows in order E, N, Z go in, logits in order P, S, ... come out.

Networks differ in the order of components and classes, in normalisation and in the length of their windows. SeisBench's
`annotate_batch_pre` prepares waveforms as the network was trained but leaves the components as they come, so they are
permuted before it.
"""

# B batch, C class (P, S, noise or detection), X component (E, N, Z), T time sample

from __future__ import annotations

from typing import Any

import torch
from seisbench.models import EQTransformer, PhaseNet, WaveformModel
from torch import Tensor, nn

from trainables.data.amplitudes import enlarged
from trainables.data.config import COMPONENT_ORDER
from trainables.models.interface import Interface, prepared
from trainables.models.seisbench_private import annotate_arguments
from trainables.models.v5b import XiaoNetV5B
from trainables.models.xiaonet import CLASSES, XiaoNet

CURVES = "PSD"


class PickerAdapter(nn.Module):
    """A network that takes raw windows. `core` is the same without the preparation of waveforms: what is exported."""

    interface: Interface

    @property
    def network(self) -> nn.Module:
        """The network itself, whose weights are kept."""
        raise NotImplementedError

    def core(self, prepared_BXT: Tensor) -> Tensor:
        """Logits (B, C, T) of windows in order E, N, Z that are prepared already."""
        raise NotImplementedError

    def forward(self, raw_BXT: Tensor) -> Tensor:
        """Logits (B, C, T) of raw windows (B, X, T) in any unit."""
        return self.core(prepared(raw_BXT, self.interface.steps))


class PhaseNetAdapter(PickerAdapter):
    """A PhaseNet, or a PhaseNetLight."""

    component_index: Tensor
    class_index: Tensor

    def __init__(self, phasenet: PhaseNet) -> None:
        super().__init__()
        self.phasenet = phasenet
        self.interface = seisbench_interface(phasenet, CLASSES)
        components = [COMPONENT_ORDER.index(component) for component in phasenet.component_order]
        classes = [list(phasenet.labels).index(label) for label in CLASSES]
        self.register_buffer("component_index", torch.tensor(components), persistent=False)
        self.register_buffer("class_index", torch.tensor(classes), persistent=False)

    @property
    def network(self) -> PhaseNet:
        return self.phasenet

    def core(self, prepared_BXT: Tensor) -> Tensor:
        return self.phasenet(prepared_BXT[:, self.component_index], logits=True)[:, self.class_index]

    def forward(self, raw_BXT: Tensor) -> Tensor:
        """Logits (B, C, T) of raw windows (B, X, T) in any unit."""
        as_trained_BXT = self.phasenet.annotate_batch_pre(enlarged(raw_BXT, dim=(1, 2))[:, self.component_index], {})
        return self.phasenet(as_trained_BXT, logits=True)[:, self.class_index]


class EQTransformerAdapter(PickerAdapter):
    """An EQTransformer, whose three curves come as P, S, detection."""

    component_index: Tensor

    def __init__(self, eqtransformer: EQTransformer) -> None:
        super().__init__()
        self.eqtransformer = eqtransformer
        self.interface = seisbench_interface(eqtransformer, CURVES)
        phases = list(eqtransformer.labels)
        self._order = [phases.index("P"), phases.index("S"), phases.index("Detection")]
        components = [COMPONENT_ORDER.index(component) for component in eqtransformer.component_order]
        self.register_buffer("component_index", torch.tensor(components), persistent=False)

    @property
    def network(self) -> EQTransformer:
        return self.eqtransformer

    def core(self, prepared_BXT: Tensor) -> Tensor:
        return self._curves(prepared_BXT[:, self.component_index])

    def forward(self, raw_BXT: Tensor) -> Tensor:
        """Logits (B, C, T) of raw windows (B, X, T) in any unit."""
        return self._curves(
            self.eqtransformer.annotate_batch_pre(enlarged(raw_BXT, dim=(1, 2))[:, self.component_index], {})
        )

    def _curves(self, x_BXT: Tensor) -> Tensor:
        curves = self.eqtransformer(x_BXT, logits=True)
        return torch.stack([curves[row] for row in self._order], dim=1)


class XiaoNetAdapter(PickerAdapter):
    """A XiaoNet that takes raw windows, for teachers and for scoring. Training hands it the normalised ones."""

    def __init__(self, xiaonet: XiaoNet) -> None:
        super().__init__()
        self.xiaonet, self.interface = xiaonet, xiaonet.interface

    @property
    def network(self) -> XiaoNet:
        return self.xiaonet

    def core(self, prepared_BXT: Tensor) -> Tensor:
        return self.xiaonet(prepared_BXT, logits=True)


class V5BAdapter(PickerAdapter):
    """A V5B of the public XiaoNet repository."""

    def __init__(self, v5b: XiaoNetV5B) -> None:
        super().__init__()
        self.v5b, self.interface = v5b, v5b.interface

    @property
    def network(self) -> XiaoNetV5B:
        return self.v5b

    def core(self, prepared_BXT: Tensor) -> Tensor:
        return self.v5b(prepared_BXT, logits=True)[:, : len(self.interface.classes)]


def adapter_of(model: WaveformModel | PickerAdapter) -> PickerAdapter:
    """A picker of SeisBench, or a XiaoNet, behind its face."""
    if isinstance(model, PickerAdapter):
        return model
    kinds: dict[type, Any] = {
        XiaoNet: XiaoNetAdapter,
        PhaseNet: PhaseNetAdapter,
        EQTransformer: EQTransformerAdapter,
        XiaoNetV5B: V5BAdapter,
    }
    return next(adapter for kind, adapter in kinds.items() if isinstance(model, kind))(model)


def seisbench_interface(model: PhaseNet | EQTransformer, classes: str) -> Interface:
    """What SeisBench's own `annotate` does with a model: preparation, stacking, blinding."""
    settings = {key: default for key, (_, default) in annotate_arguments(model).items()} | model.default_args
    steps = ["demean", *(["detrend"] if model.norm_detrend else [])]
    if model.norm_amp_per_comp or model.norm == "peak":
        steps.append("peak")
    elif model.norm == "std":
        steps.append("std_of_all" if isinstance(model, EQTransformer) else "std")
    if isinstance(model, EQTransformer):
        steps.append("taper")
    return Interface(model.in_samples, classes, tuple(steps), settings["stacking"], tuple(settings["blinding"]))
