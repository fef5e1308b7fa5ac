"""What stands beside a promoted trial in its card: other trials of the sweep, and whatever else `evaluate` takes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from seisweep.artifacts.pickers import Found, Picker, find_pickers
from seisweep.results.sweep_results import SweepResults
from seisweep.settings.home import Home
from seisweep.settings.paths import existing_path
from seisweep.settings.profile import Profile
from trainables import metrics
from trainables.data.config import PHASES
from trainables.export.artifacts import REFUSED_FILE
from trainables.export.onnx import OnnxPicker
from trainables.models.architectures import load_picker
from trainables.models.seisbench_private import weights_folder
from trainables.models.weights import SEISBENCH, files_of_pair, find_pair
from trainables.promotion.candidate import Candidate
from trainables.promotion.picker import PickerCandidate
from trainables.promotion.side_by_side import Entry

TORCH = "torch"


def numbers_in(text: str) -> list[int]:
    """`0,1,2` of `--trials`. Raises ValueError."""
    numbers = [int(word) for word in text.split(",") if word.strip().isdigit()]
    if not numbers or len(numbers) < len(text.split(",")):
        raise ValueError(f"--trials {text}: give numbers of trials, as 0,1,2")
    if len(set(numbers)) < len(numbers):
        raise ValueError(f"--trials {text}: one is there twice")
    return numbers


def names_in(text: str) -> list[str]:
    """`stead,V5B.pth` of `--beside`. Raises ValueError."""
    names = [word.strip() for word in text.split(",")]
    if not all(names):
        raise ValueError(f"--beside {text}: give models as evaluate takes them, separated by commas")
    if len(set(names)) < len(names):
        raise ValueError(f"--beside {text}: one is there twice")
    return names


def best_of(loaded: SweepResults, trials: Sequence[int]) -> int:
    """The one of these finished trials that is best on dev, by the sweep's first objective."""
    return min(trials, key=loaded.ranked().index)


def entries_of_trials(loaded: SweepResults, candidates: Mapping[int, PickerCandidate]) -> list[Entry]:
    """FP32 and INT8 of each trial, at the thresholds that dev has chosen."""
    return [
        Entry(
            name=f"trial {number} {precision}",
            probabilities=OnnxPicker(file).of_batch,
            window_samples=candidate.input_shape[1],
            parameters=_whole(loaded.run(number).data.metrics.get(metrics.PARAMETERS)),
            num_bytes=file.stat().st_size,
            thresholds=candidate.thresholds,
        )
        for number, candidate in candidates.items()
        for precision, file in candidate.models.items()
    ]


def entries_beside(names: Sequence[str], home: Home, profile: Profile) -> tuple[list[Entry], str]:
    """Pickers that are not trials of the sweep, without thresholds (dev chooses them), and a digest of their files.

    Of one that has ONNX files these alone. Raises ValueError where a name stands for none, or for one of other classes.
    """
    entries, digest = [], hashlib.blake2b(digest_size=8)
    short = [Path(name).name for name in names]
    for name, last in zip(names, short, strict=True):
        called = last if existing_path(name) and short.count(last) == 1 else name  # a card goes to others
        found = find_pickers(name, home, profile)
        kept, parameters = _kept(found), _parameters(found)
        for picker, source in kept:
            if not set(PHASES) <= set(picker.classes):
                raise ValueError(f"--beside {name}: its classes are {picker.classes}; compare with pickers of P and S")
            file = _file(source)
            entries.append(
                Entry(
                    name=called if len(kept) == 1 else f"{called} {picker.name}",
                    probabilities=picker.probabilities,
                    window_samples=picker.window_samples,
                    parameters=parameters,
                    num_bytes=None if file is None else file.stat().st_size,
                )
            )
            its = source if file is None else hashlib.blake2b(file.read_bytes(), digest_size=8).hexdigest()
            digest.update(f"{called} {picker.name} {its}".encode())
    return entries, digest.hexdigest()


def alike(candidates: Mapping[int, Candidate]) -> dict[int, PickerCandidate]:
    """The trials, which can be scored together. Raises ValueError in one line where they cannot."""
    pickers = {number: one for number, one in candidates.items() if isinstance(one, PickerCandidate)}
    if len(pickers) < len(candidates):
        raise ValueError("--trials and --beside put pickers side by side; this sweep trained classifiers")
    (first, one), *others = pickers.items()
    for number, other in others:
        if other.test_split != one.test_split:
            raise ValueError(f"trials {first} and {number} have other test splits: promote them one by one")
        for key in ("dev_windows_per_trace", "missing_phase"):
            if getattr(other.config.data, key) != getattr(one.config.data, key):
                raise ValueError(f"trials {first} and {number} differ in data.{key}: they are scored on other windows")
        if other.config.picks != one.config.picks:
            raise ValueError(f"trials {first} and {number} differ in how their picks are matched (picks.*)")
    return pickers


def check_lengths(candidate: PickerCandidate, entries: Sequence[Entry]) -> None:
    """Agreement with a teacher on streams is counted in windows of one length. Raises ValueError."""
    other = next((entry for entry in entries if entry.window_samples != candidate.input_shape[1]), None)
    if other is not None and not candidate.config.data.has_dataset:
        raise ValueError(
            f"--beside {other.name}: its windows have {other.window_samples} samples, not {candidate.input_shape[1]}, "
            "and without labelled records all are held against the teacher in the same windows"
        )


def _kept(found: Found) -> list[tuple[Picker, Path | str]]:
    pairs = [
        (picker, source)
        for picker, source in zip(found.pickers, found.sources, strict=True)
        if picker.name != REFUSED_FILE or len(found.pickers) == 1
    ]
    onnx = [pair for pair in pairs if pair[0].precision != TORCH]
    return onnx or pairs


def _parameters(found: Found) -> int | None:
    source = next((its for one, its in zip(found.pickers, found.sources, strict=True) if one.precision == TORCH), None)
    return None if source is None else sum(p.numel() for p in load_picker(str(source)).network.parameters())


def _file(source: Path | str) -> Path | None:
    """What holds the weights of a source; None of a name whose file is not found."""
    if isinstance(source, Path) and source.is_file() and find_pair(str(source)) is None:
        return source
    named = str(source)
    if find_pair(named) is None:  # a name of SeisBench, whose files lie in its cache
        folder = weights_folder(type(load_picker(named).network))
        named = str(folder / named.removeprefix(SEISBENCH))
    return files_of_pair(named)[1] if find_pair(named) else None


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)
