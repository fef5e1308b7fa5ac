"""Which of the words after `pick` are models and which are waveforms."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from seisweep.settings.home import Home
from seisweep.settings.profile import Profile
from trainables.edge import FDSN


def models_and_waveforms(words: Sequence[str], home: Home, profile: Profile) -> tuple[list[str], list[str]]:
    """What was typed, parted: the first word is a model, and so is each that follows and can be nothing else, up to
    the first that names waveforms. Raises ValueError where it is not certain what a word means."""
    from seisweep.artifacts.reference import read_reference

    read_reference(words[0], home, profile)  # the first mistake is told first
    named = [words[0], *_leading_models(words[1:], home, profile)]
    waveforms = list(words[len(named) :])
    if not waveforms:
        are = "is a model" if len(named) == 1 else "are models"
        hint = "; a folder with a model in it counts as a model: give waveforms too" if Path(named[-1]).is_dir() else ""
        raise ValueError(f"no waveforms: {', '.join(named)} {are}{hint}")
    late = next((word for word in waveforms if _is_surely_a_model(word)), None)
    if late:
        raise ValueError(f"{late} is a model but stands after waveforms; models come first")
    twice = next((model for model in named if named.count(model) > 1), None)
    if twice:
        raise ValueError(f"{twice} is named twice")
    if len(named) > 1:
        print(f"models: {', '.join(named)}; waveforms: {', '.join(waveforms)}", file=sys.stderr)
    return named, waveforms


def _leading_models(words: Sequence[str], home: Home, profile: Profile) -> Iterator[str]:
    for word in words:
        if not _is_model(word, home, profile):
            return
        yield word


def _is_model(word: str, home: Home, profile: Profile) -> bool:
    """What lies here is judged by what it is, what does not by what it may name."""
    from seisweep.artifacts.reference import UnknownNameError, read_reference
    from seisweep.say import say_once
    from seisweep.settings.paths import TRIAL_NAME, path_not_sweep
    from trainables.models.weights import SEISBENCH, known_names

    if _is_surely_a_model(word):
        return True
    if word.startswith(FDSN):
        return False
    if path_not_sweep(word, home) is not None:
        if word in known_names():
            say_once(
                f"{word} is taken as the waveforms of this name here; for SeisBench's weights write {SEISBENCH}{word}"
            )
        return False
    if not re.fullmatch(TRIAL_NAME, word):
        return False
    try:
        return read_reference(word, home, profile).kind != "path"
    except UnknownNameError:
        raise
    except ValueError:  # a file that is not here
        return False


def _is_surely_a_model(word: str) -> bool:
    """By its beginning, its ending, or what is in the file or folder."""
    from seisweep.settings.paths import HUB
    from trainables.models.weights import SEISBENCH, find_pair
    from trainables.models.xiaonet_public import is_public

    if word.startswith(("runs:/", "models:/", HUB, SEISBENCH)) or word.endswith(".onnx"):
        return True
    path = Path(word).expanduser()
    if path.is_dir():
        return any(path.glob("*.onnx")) or any(find_pair(str(file)) for file in path.glob("*.json*"))
    return not word.startswith(FDSN) and (is_public(path) or find_pair(word) is not None)
