"""A trained picker as a model of SeisBench, in PyTorch and FP32."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from seisbench.models import WaveformModel

from seisweep.artifacts import hub
from seisweep.artifacts.reference import Reference, read_reference
from seisweep.artifacts.trained_with import trial_behind
from seisweep.record import tags
from seisweep.results import SweepResults
from seisweep.results.open_store import open_store
from seisweep.results.runs import Run
from seisweep.say import say_once
from seisweep.settings.home import Home
from seisweep.settings.paths import BEST
from trainables.export.picker_folder import DESCRIPTION_FILE, check_picker_folder
from trainables.models.architectures import load_picker
from trainables.models.own_network import WEIGHTS_FILE
from trainables.models.weights import find_pair


def seisbench_picker(model: str, home: Home) -> WaveformModel:
    """The picker that a name stands for, in eval mode, its thresholds as the defaults of `classify`. Raises ValueError
    in one line."""
    named = read_reference(model, home)
    network = load_picker(named.text if named.kind == "seisbench" else str(_pair_of(named))).network
    assert isinstance(network, WaveformModel)
    return network


def promotion_of(loaded: SweepResults) -> Run | None:
    """The latest promotion of a trial of this sweep that was completed; None where there is none."""
    wanted = {tags.ROLE: tags.PROMOTION_ROLE, tags.SWEEP: loaded.name, tags.STATE: "done"}
    found = open_store(loaded.tracking_uri).tagged(wanted)
    trained = {run.info.run_id for run in loaded.runs.values()}
    of_this_one = [run for run in found if run.data.tags.get(tags.PROMOTED_RUN) in trained]
    return max(of_this_one, key=lambda run: run.info.start_time, default=None)


def _pair_of(named: Reference) -> Path:
    """The stem of its weights for SeisBench."""
    if named.kind == "hub":
        assert named.path is not None
        return _pair_in(hub.fetch(named.text, named.path), named.text, fetched=hub.DATA)
    if named.kind == "path":
        assert named.path is not None
        if named.path.is_dir():
            return _pair_in(named.path, named.text)
        if named.path.suffix == ".onnx":
            raise ValueError(f"{named.text} is an ONNX file, but SeisBench needs PyTorch: give its folder or its trial")
        return named.path
    if named.kind == "mlflow":
        if (trial := trial_behind(named)) is None:
            assert named.store is not None
            raise ValueError(f"{named.uri} comes from no trial of a sweep that is recorded in {named.store.uri}")
    else:
        trial = _promoted_or_best(named)
    loaded, number = trial
    return _pair_in(loaded.artifacts(number), f"trial {number} of {loaded.name}")


def _promoted_or_best(named: Reference) -> tuple[SweepResults, int]:
    """A trial by its number or as the best; of a sweep alone the promoted one where there is one, which is said."""
    loaded, number = named.trial()
    if named.number is None and not named.text.endswith(f"/{BEST}"):
        promotion = promotion_of(loaded)
        how = "the promoted one" if promotion else "its best, as none is promoted"
        number = int(promotion.data.tags[tags.TRIAL]) if promotion else number
        say_once(f"{named.text}: trial {number}, {how}")
    return loaded, number


def _pair_in(folder: Path, whose: str, fetched: Sequence[str] = ("*",)) -> Path:
    """`fetched`: names like these are there if they are anywhere. Raises ValueError, which says what is missing."""
    for file in sorted(folder.glob("*.json.v*")):
        if find_pair(str(file)):
            return file
    if (folder / DESCRIPTION_FILE).is_file():
        check_picker_folder(folder, fetched)
        raise ValueError(
            f"{whose} holds ONNX files and no xiaonet.json.v1 and xiaonet.pt.v1: an earlier version wrote it, or its "
            "network is none of SeisBench; name the sweep or its trial"
        )
    if (folder / WEIGHTS_FILE).is_file():
        raise ValueError(f"{whose} has a network of your own, not a model of SeisBench; `seisweep pick` takes it")
    raise ValueError(f"{whose}: no weights for SeisBench in {folder}; looked for pairs NAME.json.v1, NAME.pt.v1")
