"""Loading SeisBench models from a file pair or by name, with errors that say what would be right."""

from __future__ import annotations

import json
import logging
import pickle
import re
import sys
from pathlib import Path
from typing import TypeVar

import torch
from seisbench.models import PhaseNet, WaveformModel

from trainables.fetched import is_elsewhere, weights_here
from trainables.models.seisbench_private import weights_folder
from trainables.models.xiaonet_public import is_public, read_public

Model = TypeVar("Model", bound=WaveformModel)

SEISBENCH = "seisbench:"
"""Before a weight name that is SeisBench's for certain."""

DOCUMENTED = (
    "diting", "ethz", "geofon", "instance", "iquique", "jma", "jma_wc", "lendb", "neic", "obs", "original", "pisdl",
    "scedc", "stead", "volpick",
)  # fmt: skip
"""PhaseNet weights that SeisBench's documentation lists. Its server knows more now and then, and is slow to say no."""

_PAIR = re.compile(r"(?P<stem>.+?)(\.(pt|json)(\.v(?P<version>\w+))?)?$")


def load_weights(model_class: type[Model], weights: str, field: str = "") -> Model:
    """A SeisBench model by weight name (`stead`) or by file, in eval mode.

    A file is named by either half of its pair (`picker.pt.v1`, `picker.json.v1`) or by their common stem
    (`picker`), here or as s3://, https:// or http://; a state dict (`best_model.pth`) by its name. Raises ValueError
    where nothing can be loaded, which names the setting `field`, if it was one.
    """
    if is_elsewhere(weights):
        weights = weights_here(weights, field)
    pair = find_pair(weights)
    if pair is not None:
        return _load_pair(model_class, *pair, field)
    if (file := state_dict_file(weights)) is not None:
        return _load_state_dict(model_class, file, _named(field, weights))
    if not weights.startswith(SEISBENCH) and ("/" in weights or Path(weights).suffix):
        stem, suffix = _wanted_pair(weights)
        raise ValueError(
            f"{_named(field, weights)}: no such weights; looked for {stem}.json{suffix} and {stem}.pt{suffix} "
            "(a SeisBench model is a pair of files, NAME.json.v1 and NAME.pt.v1)"
        )
    return _from_name(model_class, weights, field)


def find_pair(weights: str) -> tuple[Path, str | None] | None:
    """Stem and version of the file pair that `weights` names, None where there is none."""
    match = _PAIR.match(weights)
    if match is None:
        return None
    stem = Path(match["stem"]).expanduser()
    versions = [match["version"]] if match["version"] else [_latest_version(stem), None]
    for version in versions:
        suffix = _suffix(version)
        if all(stem.with_name(f"{stem.name}{half}{suffix}").is_file() for half in (".json", ".pt")):
            return stem.absolute(), version
    return None


def state_dict_file(weights: str) -> Path | None:
    """The state dict that `weights` names, None where there is none, or where it is half of a pair."""
    path = Path(weights).expanduser()
    return path.absolute() if is_public(path) and find_pair(weights) is None else None


def files_of_pair(weights: str) -> list[Path]:
    """Both files of the pair that `weights` names. Raises ValueError where there is none."""
    if (pair := find_pair(weights)) is None:
        stem, suffix = _wanted_pair(weights)
        raise ValueError(f"{weights}: no such weights; looked for {stem}.json{suffix} and {stem}.pt{suffix}")
    stem_path, version = pair
    return [stem_path.with_name(f"{stem_path.name}{half}{_suffix(version)}") for half in (".json", ".pt")]


def _suffix(version: str | None) -> str:
    return f".v{version}" if version else ""


def _wanted_pair(weights: str) -> tuple[str, str]:
    """Stem and suffix of the pair that is not there: `picker.pt` stands beside `picker.json`, without a version."""
    match = _PAIR.match(weights)
    if match is None or match[2] is None:
        return weights, ".v1"
    return match["stem"], f".v{match['version']}" if match["version"] else ""


def _latest_version(stem: Path) -> str | None:
    found = [file.name.rsplit(".v", 1)[1] for file in stem.parent.glob(f"{stem.name}.json.v*")]
    return max(found, key=lambda v: (len(v), v), default=None)


def _load_pair(model_class: type[Model], stem: Path, version: str | None, field: str) -> Model:
    suffix = _suffix(version)
    file = stem.with_name(f"{stem.name}.pt{suffix}")
    try:
        json.loads(stem.with_name(f"{stem.name}.json{suffix}").read_text())
        # Weights are data from strangers: nothing but tensors is read.
        return model_class.load(stem, version_str=version, weights_only=True, map_location="cpu").eval()
    except Exception as error:
        name = model_class.__name__
        raise ValueError(
            f"{_named(field, file)}: not the weights of a {name} ({_reason(error)}); {name}.save(NAME) writes what fits"
        ) from error


def _load_state_dict(model_class: type[Model], file: Path, named: str) -> Model:
    model = read_public(file, named)
    if type(model) is not model_class:
        raise ValueError(f"{named}: the weights of a {type(model).__name__}, not of a {model_class.__name__}")
    return model


def _reason(error: Exception) -> str:
    if isinstance(error, pickle.UnpicklingError):  # torch goes on to advise against its own safety
        return "the file holds more than tensors"
    if isinstance(error, OSError | EOFError) or "PytorchStreamReader" in str(error):
        return "the file is damaged or was cut short"
    if isinstance(error, TypeError):
        return "the arguments in its description are those of another model"
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def known_names(model_class: type[WaveformModel] = PhaseNet) -> list[str]:
    """Weight names of SeisBench that need no question to its server: those on this machine, and the documented ones."""
    documented = DOCUMENTED if model_class is PhaseNet else ()
    return list(dict.fromkeys([*model_class.list_pretrained(remote=False), *documented]))


def _from_name(model_class: type[Model], given: str, field: str) -> Model:
    """Weights by their name, from this machine or, said before, from SeisBench's server. A name that nobody knows asks
    no server."""
    name, named, kind = given.removeprefix(SEISBENCH), _named(field, given), model_class.__name__
    if name not in model_class.list_pretrained(remote=False):
        known = known_names(model_class)
        if name == given and name not in known:
            raise ValueError(
                f"{named}: no {kind} weights of SeisBench are known by that name ({', '.join(known) or 'none'}); a "
                f"newer name is written {SEISBENCH}{name}"
            )
        print(f"{name}: these weights are not on this machine; SeisBench downloads them", file=sys.stderr, flush=True)
    logger = logging.getLogger("seisbench")
    level = logger.level
    logger.setLevel(logging.ERROR)  # the error below says what its warnings say, and what to do
    try:
        return model_class.from_pretrained(name).eval()
    except ValueError as error:
        raise ValueError(f"{named}: SeisBench has no {kind} weights of that name") from error
    except Exception as error:
        raise ValueError(
            f"{named}: cannot be downloaded ({type(error).__name__}); put {name}.json.v1 and {name}.pt.v1 into "
            f"{weights_folder(model_class)}, or name a file"
        ) from error
    finally:
        logger.setLevel(level)


def _named(field: str, value: object) -> str:
    """`teacher.weights=stead`, or the value alone where no setting holds it."""
    return f"{field}={value}" if field else str(value)


def weights_digest(model: torch.nn.Module) -> str:
    """Twelve hexadecimal digits that tell two sets of weights apart."""
    import hashlib

    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:12]
