"""A promoted picker goes to a hub: the folder of a promotion that is complete, without opening its test split again."""

from __future__ import annotations

import json
from pathlib import Path

from seisweep import results
from seisweep.artifacts.seisbench_picker import promotion_of
from seisweep.promotion.promote import PICKERS
from seisweep.record import tags
from seisweep.record.mlflow_store import fetched
from seisweep.settings.home import Home
from seisweep.settings.profile import Profile
from trainables.export.picker_folder import DESCRIPTION_FILE, check_picker_folder


def promoted_folder(name: str, trial: int | None, again: bool, home: Home, profile: Profile) -> Path | None:
    """The picker folder of a sweep's latest promotion, of `trial` where one is said: that of the home where it is of
    this promotion, else as the record has it. None where there is none yet, or it is to be promoted `again`.

    Raises ValueError in one line where the sweep trains no pickers, or the folder is incomplete.
    """
    loaded = results.load_from(home, name, profile)
    kind = loaded.tags(loaded.best() if trial is None else trial).get(tags.TRAINABLE, "")
    if kind not in PICKERS:
        raise ValueError(f"{name} trained {kind}: what is pushed are pickers, of {', '.join(PICKERS)}")
    promotion = None if again else promotion_of(loaded)
    if promotion is None or trial not in (None, int(promotion.data.tags[tags.TRIAL])):
        return None
    folder = home.pickers_dir / name
    if not _is_of(folder, promotion.data.tags[tags.PROMOTED_RUN]):
        folder = fetched(f"runs:/{promotion.info.run_id}/{tags.PICKER_FOLDER}", loaded.tracking_uri)
    check_picker_folder(folder)
    return folder


def _is_of(folder: Path, trained: str) -> bool:
    """Whether a folder is that of the trial of an MLflow run, as its card says; one that says nothing is too."""
    try:
        told = json.loads((folder / DESCRIPTION_FILE).read_text(encoding="utf-8"))
        return trained in told["card"]["trial"]["sweep"]
    except (OSError, ValueError, KeyError, TypeError):
        return folder.is_dir()
