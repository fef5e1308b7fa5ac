"""A user's own network, `module:Class`: (B, 3, T) of E, N, Z to logits (B, C, T).

Its class, or what it makes of itself, may state `window_samples`, `classes`, `normalisation`, `component_order` and
`parts` (what a freezing schedule knows as encoder and backbone). It is tried before anything is trained.
"""

# B batch, C class (P, S, noise or detection), X component (E, N, Z), T time sample

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from trainables.attribute import load_attribute
from trainables.data.config import COMPONENT_ORDER, WINDOW_SAMPLES
from trainables.fetched import is_elsewhere, weights_here
from trainables.models.adapters import PickerAdapter
from trainables.models.interface import DETECTION, NOISE, PEAK, STD, Interface, prepared

WEIGHTS_FILE = "network.pt"
NORMALISATIONS = {"peak": PEAK, "std": STD}
LEAST_SAMPLES, MOST_SAMPLES = 100, 60_000
PROBED = 2
"""Windows of the batch that a network is tried with."""


class OwnNetwork(PickerAdapter):
    """A user's network behind the face that all pickers have."""

    component_index: Tensor
    class_index: Tensor

    def __init__(self, network: nn.Module, architecture: str, arguments: Mapping[str, Any], named: str) -> None:
        super().__init__()
        self.own = network
        self.architecture, self.arguments = architecture, dict(arguments)
        given, components = _classes(network, named), _components(network, named)
        classes = "".join(letter for letter in "PSND" if letter in given)
        self.interface = Interface(_window(network, named), classes, _steps(network, named))
        self.num_classes = len(classes)
        self.register_buffer("component_index", torch.tensor([COMPONENT_ORDER.index(c) for c in components]), False)
        self.register_buffer("class_index", torch.tensor([given.index(letter) for letter in classes]), False)
        self.parts = _parts(network, named)

    @property
    def network(self) -> nn.Module:
        return self.own

    def core(self, prepared_BXT: Tensor) -> Tensor:
        return self.own(prepared_BXT[:, self.component_index])[:, self.class_index]


def build_own(architecture: str, arguments: Mapping[str, Any], group: str = "model") -> OwnNetwork:
    """The network with fresh weights. Raises ValueError in one line that says what is wrong with it."""
    named = f"{group}.architecture={architecture}"
    found = load_attribute(architecture, f"{group}.architecture")
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise ValueError(f"{named}: {_kind(found)}, not a class of torch.nn.Module")
    try:
        network = found(**arguments)
    except (Exception, SystemExit) as error:  # whatever a user's own class does
        given = ", ".join(f"{key}={value}" for key, value in arguments.items()) or "no arguments"
        raise ValueError(f"{named}: cannot be made with {given}: {_reason(error)}") from error
    return OwnNetwork(network, architecture, arguments, named)


def probe(picker: OwnNetwork, group: str = "model") -> None:
    """Whether it answers as it must: shape, finite numbers, gradients. Raises ValueError in one line where not.

    It is tried on random windows and on windows of zeros (gaps), in training and in evaluation, on two windows and on
    one. The network and torch's random state stay as they are.
    """
    named, picker = f"{group}.architecture={picker.architecture}", copy.deepcopy(picker)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        random_BXT = torch.randn(PROBED, len(COMPONENT_ORDER), picker.interface.window_samples)
        logits_BCT = _asked(picker.train(), random_BXT, named, "random windows, in training")
        if picker.interface.is_distribution and _sums_to_1(logits_BCT):
            raise ValueError(f"{named}: it answers with probabilities; leave its softmax out and return logits")
        _check_gradients(picker, logits_BCT, named)
        zeros_BXT = torch.zeros_like(random_BXT)
        _asked(picker, zeros_BXT, named, "windows of zeros, in training")
        with torch.no_grad():
            _asked(picker.eval(), random_BXT[:1], named, "one random window, in evaluation")
            _asked(picker, zeros_BXT, named, "windows of zeros, in evaluation")


def save_own(picker: OwnNetwork, folder: Path, about: str) -> Path:
    """Write the weights with the arguments that its class wants; returns the file."""
    file = folder / WEIGHTS_FILE
    weights = {name: tensor.detach().cpu() for name, tensor in picker.own.state_dict().items()}
    kept = {"architecture": picker.architecture, "arguments": picker.arguments, "about": about, "state_dict": weights}
    torch.save(kept, file)
    return file


def load_own(architecture: str, weights: str, field: str, arguments: Mapping[str, Any] | None = None) -> OwnNetwork:
    """The network with weights that `save_own` has written: a file, or a folder that holds it.

    `arguments` go before those in the file. Raises ValueError in one line.
    """
    named = f"{field}={weights}"
    path = Path(weights_here(weights, field) if is_elsewhere(weights) else weights).expanduser().absolute()
    file = path / WEIGHTS_FILE if path.is_dir() else path
    if not file.is_file():
        raise ValueError(f"{named}: no such weights; looked for {file} (a trained network of your own leaves that)")
    try:
        kept = torch.load(file, map_location="cpu", weights_only=True)  # nothing of a stranger's code runs
        stated, tensors = kept["arguments"], kept["state_dict"]
    except Exception as error:
        raise ValueError(f"{named}: not the weights of a network of your own ({_reason(error)})") from error
    picker = build_own(architecture, arguments or stated, field.partition(".")[0])
    try:
        picker.own.load_state_dict(tensors)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{named}: these are not weights of {architecture}: {reason}") from None
    return picker


def _asked(picker: OwnNetwork, raw_BXT: Tensor, named: str, of: str) -> Tensor:
    given = tuple(raw_BXT.shape)
    try:
        answer = picker.own(prepared(raw_BXT, picker.interface.steps)[:, picker.component_index])
    except (Exception, SystemExit) as error:
        raise ValueError(f"{named}: fails on {of} {given}: {_reason(error)}") from error
    wanted = (given[0], picker.num_classes, picker.interface.window_samples)
    if not isinstance(answer, Tensor):
        raise ValueError(f"{named}: answers with {_kind(answer)}, not with one tensor {wanted} of logits")
    if tuple(answer.shape) != wanted:
        classes = picker.interface.classes
        raise ValueError(
            f"{named}: answers {tuple(answer.shape)} to windows {given}, not {wanted}: logits of its "
            f"{len(classes)} classes at every sample (state window_samples and classes where they are others)"
        )
    if not answer.is_floating_point() or not torch.isfinite(answer).all():
        raise ValueError(f"{named}: answers {_not_finite(answer)} to {of} {given}")
    return answer


def _check_gradients(picker: OwnNetwork, logits_BCT: Tensor, named: str) -> None:
    try:
        logits_BCT.log_softmax(dim=1)[:, 0].mean().backward()
    except RuntimeError as error:
        raise ValueError(f"{named}: no gradient comes back through it: {_reason(error)}") from error
    gradients = [parameter.grad for parameter in picker.parameters() if parameter.grad is not None]
    if not gradients:
        raise ValueError(f"{named}: no parameter of it gets a gradient, so it cannot learn")
    if not all(torch.isfinite(gradient).all() for gradient in gradients):
        raise ValueError(f"{named}: its gradients are not finite on random windows")


def _sums_to_1(answer_BCT: Tensor) -> bool:
    return bool((answer_BCT >= 0).all() and torch.allclose(answer_BCT.sum(dim=1), torch.ones(()), atol=1e-4))


def _not_finite(answer: Tensor) -> str:
    if not answer.is_floating_point():
        return f"whole numbers ({answer.dtype})"
    return "NaN" if torch.isnan(answer).any() else "infinite numbers"


def _window(network: nn.Module, named: str) -> int:
    window = getattr(network, "window_samples", WINDOW_SAMPLES)
    if isinstance(window, bool) or not isinstance(window, int) or not LEAST_SAMPLES <= window <= MOST_SAMPLES:
        raise ValueError(
            f"{named}: window_samples = {window} is not allowed: a whole number, {LEAST_SAMPLES} to {MOST_SAMPLES}"
        )
    return window


def _classes(network: nn.Module, named: str) -> str:
    classes = getattr(network, "classes", "PSN")
    letters = "".join(classes) if isinstance(classes, (list, tuple)) else classes
    good = isinstance(letters, str) and set("PS") <= set(letters) <= set("PSND") and len(set(letters)) == len(letters)
    if not good or (NOISE in letters and DETECTION in letters):
        raise ValueError(
            f"{named}: classes = {classes!r} is not allowed: P, S and N in some order (one softmax), or P and S with "
            "or without D, the detection (sigmoids)"
        )
    return letters


def _steps(network: nn.Module, named: str) -> tuple[str, ...]:
    given = getattr(network, "normalisation", "peak")
    if given not in NORMALISATIONS:
        raise ValueError(f"{named}: normalisation = {given!r} is not allowed: one of {', '.join(NORMALISATIONS)}")
    return NORMALISATIONS[given]


def _components(network: nn.Module, named: str) -> str:
    given = getattr(network, "component_order", COMPONENT_ORDER)
    if not isinstance(given, str) or sorted(given) != sorted(COMPONENT_ORDER):
        raise ValueError(f"{named}: component_order = {given!r} is not allowed: E, N and Z in some order")
    return given


def _parts(network: nn.Module, named: str) -> dict[str, tuple[str, ...]] | None:
    """What freezing knows as encoder and backbone, by the names of submodules; None where nothing is stated."""
    given = getattr(network, "parts", None)
    if given is None:
        return None
    try:
        parts = {part: tuple(f"own.{name}" for name in given[part]) for part in ("encoder", "backbone")}
        for name in (*parts["encoder"], *parts["backbone"]):
            network.get_submodule(name.removeprefix("own."))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f'{named}: parts = {given!r} is not allowed: {{"encoder": [...], "backbone": [...]}} with names of '
            f"submodules ({_reason(error)})"
        ) from None
    return parts


def _kind(found: object) -> str:
    return f"it is {'the class' if isinstance(found, type) else 'a'} {getattr(found, '__name__', type(found).__name__)}"


def _reason(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
