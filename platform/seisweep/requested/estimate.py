"""What a sweep will cost, before it starts: the sizes of its models, and its time by one measured step."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search_spaces.corners import corners
from search_spaces.sweep import Sweep
from seisweep.requested.trainable import CACHE_KEY, SEED_KEY, Trainable
from seisweep.text import show_seconds, show_settings

if TYPE_CHECKING:
    import torch
    from torch import nn

    from trainables.training.rehearsal import Pace

SHAPES = ("student.", "model.", "head.")
"""Groups of settings that decide about a model's size."""


@dataclass(frozen=True)
class Size:
    """A model of a sweep: what makes it this large, and how large."""

    settings: dict[str, Any]
    parameters: int
    fp32_bytes: int | None = None
    int8_bytes: int | None = None
    """Of its ONNX files; None where they were not asked for, or there are none."""


def settings_of(sweep: Sweep, trainable: Trainable, params: Mapping[str, Any], cache: Path) -> dict[str, Any]:
    """The settings of a trial with these parameters, as far as they decide about its cost."""
    settings = dict(sweep.base) | dict(params)
    if trainable.has(SEED_KEY):
        settings.setdefault(SEED_KEY, sweep.seeds[0])
    if trainable.config_class and trainable.has(CACHE_KEY):
        settings.setdefault(CACHE_KEY, str(cache))
    return settings


def extremes(sweep: Sweep, trainable: Trainable, cache: Path, with_bytes: bool = False) -> list[Size]:
    """The smallest and the largest model that a trial may get, one without settings where all are as large. Empty
    where the trainable does not say what it trains. Raises ValueError in one line."""
    network = trainable.beside("network")
    if network is None:
        return []
    found: dict[str, tuple[Size, nn.Module]] = {}
    for point in corners(sweep):
        shape = {key: value for key, value in point.items() if key.startswith(SHAPES) and not isinstance(value, float)}
        if (key := json.dumps(shape)) not in found:
            model = network(trainable.configure(settings_of(sweep, trainable, point, cache)))
            found[key] = Size(shape, sum(parameter.numel() for parameter in model.parameters())), model
    ordered = sorted(found.values(), key=lambda one: one[0].parameters)
    ends = [ordered[0], ordered[-1]]
    if ordered[0][0].parameters == ordered[-1][0].parameters:
        ends = [(replace(ordered[0][0], settings={}), ordered[0][1])]
    return [_with_bytes(size, model) for size, model in ends] if with_bytes else [size for size, _ in ends]


def _with_bytes(size: Size, model: nn.Module) -> Size:
    from trainables import metrics
    from trainables.export.cost import measure_network
    from trainables.models.adapters import PickerAdapter
    from trainables.models.xiaonet import XiaoNet

    if not isinstance(model, XiaoNet | PickerAdapter):
        return size
    found = measure_network(model.eval(), with_latencies=False)
    fp32, int8 = found.get(metrics.FP32_BYTES), found.get(metrics.INT8_BYTES)
    return Size(size.settings, size.parameters, int(fp32) if fp32 else None, int(int8) if int8 else None)


def measured_pace(
    sweep: Sweep, trainable: Trainable, params: Mapping[str, Any], cache: Path, cpus: float, gpus: float
) -> Pace | None:
    """What a step of a trial with these parameters takes on this machine, with as many threads as a trial has. None
    where the trainable has no rehearsal. Raises ValueError."""
    rehearse = trainable.beside("rehearse")
    if rehearse is None:
        return None
    import torch

    from trainables.run import LocalRun

    device = torch.device("cuda" if gpus > 0 and torch.cuda.is_available() else "cpu")
    config = trainable.configure(settings_of(sweep, trainable, params, cache))
    with tempfile.TemporaryDirectory(prefix="seisweep-rehearsal-") as folder, _as_a_trial(cpus, device):
        pace: Pace = rehearse(config, LocalRun(Path(folder), device))
        return pace


@contextmanager
def _as_a_trial(cpus: float, device: torch.device) -> Iterator[None]:
    """Threads and number formats of a trial's process; afterwards as they were, random numbers too."""
    import torch

    threads = torch.get_num_threads()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.set_num_threads(max(1, int(cpus)))
        try:
            yield
        finally:
            torch.set_num_threads(threads)
            torch.set_flush_denormal(False)


def share_with_early_stopping(sweep: Sweep, epochs: int) -> float:
    """The share of all epochs that successive halving lets trials have, where each rung stops what it is meant to."""
    reached, share = sweep.grace_epochs or max(1, epochs // 8), 1.0
    if sweep.scheduler != "asha" or reached >= epochs:
        return 1.0
    total = float(reached)
    while reached < epochs:
        following = min(math.ceil(reached * sweep.reduction_factor), epochs)
        share /= sweep.reduction_factor
        total += share * (following - reached)
        reached = following
    return total / epochs


def how_large(sizes: list[Size]) -> str:
    """`models of 10,731 to 164,451 parameters`."""
    if not sizes:
        return ""
    if len(sizes) == 1:
        return f"a model of {sizes[0].parameters:,} parameters"
    return f"models of {sizes[0].parameters:,} to {sizes[-1].parameters:,} parameters"


def how_long(sweep: Sweep, num_trials: int | None, at_a_time: int, pace: Pace) -> str:
    """`a step took 0.21 s here, 30 of them and dev make an epoch of 8 s: at that pace a trial trains for at most
    12 min, and all of them, 2 at a time, for 35 min (if asha stops weak ones early) to 2 h`."""
    step = f"a step took {_short(pace.step_s)} here, {pace.steps} of them and dev make an epoch of "
    trial_s = pace.epochs * pace.epoch_s
    trial = f"a trial trains for at most {show_seconds(math.ceil(trial_s))}"
    words = f"{step}{_short(pace.epoch_s)}: at that pace {trial}"
    if num_trials is None or num_trials == 1:
        return words
    rounds = math.ceil(num_trials / at_a_time)
    least_s = trial_s * share_with_early_stopping(sweep, pace.epochs) * num_trials / at_a_time
    most = show_seconds(rounds * trial_s)
    least = show_seconds(least_s)
    span = f"at most {most}"
    if sweep.scheduler == "asha" and least != most:
        span = f"{least} (if asha stops weak ones early) to {most}"
    return f"{words}, and all of them, {at_a_time} at a time, for {span}"


def larger_than_its_teacher(sizes: list[Size], pace: Pace | None) -> str:
    """A line where the largest student is larger than who teaches it; else empty."""
    if not sizes or pace is None or not pace.teacher_parameters or sizes[-1].parameters <= pace.teacher_parameters:
        return ""
    made = show_settings(sizes[-1].settings)
    which = f" ({made})" if made else ""
    return (
        f"the largest student has {sizes[-1].parameters:,} parameters{which}, its teacher {pace.teacher_parameters:,}"
    )


def _short(seconds: float) -> str:
    return f"{float(f'{seconds:.2g}'):g} s" if seconds < 10 else show_seconds(seconds)
