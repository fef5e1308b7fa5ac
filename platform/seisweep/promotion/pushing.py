"""A promoted picker goes to a hub: the folder of a promotion that is complete, without opening its test split again."""

from __future__ import annotations

import json
from pathlib import Path

from seisweep import results
from seisweep.artifacts.seisbench_picker import promotion_of
from seisweep.promotion.model_card import markdown
from seisweep.promotion.promote import PICKERS
from seisweep.record import tags
from seisweep.record.mlflow_store import fetched
from seisweep.settings.home import Home
from seisweep.settings.profile import Profile
from seisweep.settings.temporary import fresh_folder
from trainables.export.artifacts import FP32_FILE, INT8_FILE
from trainables.export.picker_folder import DESCRIPTION_FILE, check_picker_folder, write_picker_folder
from trainables.export.picker_readme import README_FILE
from trainables.promotion.picker import HEADLINES, pair_in


def promoted_folder(name: str, trial: int | None, again: bool, home: Home, profile: Profile) -> Path | None:
    """The picker folder of a sweep's latest promotion, of `trial` where one is said: that of the home where it is of
    this promotion, else as the record has it. None where there is none yet, or it is to be promoted `again`.

    Raises ValueError in one line where the sweep trains no pickers, or the folder is incomplete.
    """
    loaded = results.load_from(home, name, profile)
    kind = loaded.tags(loaded.best() if trial is None else trial).get(tags.TRAINABLE, "")
    if kind not in PICKERS:
        raise ValueError(f"{name} trained {kind}: only pickers can be pushed, trained by {', '.join(PICKERS)}")
    promotion = None if again else promotion_of(loaded)
    if promotion is None or trial not in (None, int(promotion.data.tags[tags.TRIAL])):
        return None
    folder = home.pickers_dir / name
    if not _is_of(folder, promotion.data.tags[tags.PROMOTED_RUN]):
        folder = fetched(f"runs:/{promotion.info.run_id}/{tags.PICKER_FOLDER}", loaded.tracking_uri)
    check_picker_folder(folder)
    trained = loaded.artifacts(int(promotion.data.tags[tags.TRIAL]))
    return folder if (folder / README_FILE).is_file() else _brought_up(folder, trained)


def _brought_up(folder: Path, trained: Path) -> Path:
    """A folder of an earlier version, which has neither weights for SeisBench nor README.md, written again from the
    trial's files and its own card."""
    told = json.loads((folder / DESCRIPTION_FILE).read_text(encoding="utf-8"))
    others = [trained / name for name in (INT8_FILE, FP32_FILE) if name != told["file"] and (trained / name).is_file()]
    text = markdown(told["card"], HEADLINES)
    place = fresh_folder() / "picker"
    write_picker_folder(place, trained / told["file"], told["card"], others=others, pair=pair_in(trained), text=text)
    return place


def _is_of(folder: Path, trained: str) -> bool:
    """Whether a folder is that of the trial of an MLflow run, as its card says; one that says nothing is too."""
    try:
        told = json.loads((folder / DESCRIPTION_FILE).read_text(encoding="utf-8"))
        return trained in told["card"]["trial"]["sweep"]
    except (OSError, ValueError, KeyError, TypeError):
        return folder.is_dir()
