"""The files of runs: folders of this machine where they lie here, fetched where a server has them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlparse

from seisweep.results.runs import Run
from seisweep.settings.temporary import fresh_folder

MOST_NAMED = 5
BRING = "bring the folder artifacts/ of the home along"


def files_of(run: Run, whose: str, tracking_uri: str) -> Path:
    """Folder of a run's files. Raises ValueError in one line where they are gone, or cannot be fetched."""
    if (folder := folder_here(run)) is not None:
        if not folder.is_dir():
            raise ValueError(f"the files of {whose} are not there: no folder {folder}; {BRING}")
        return folder
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    try:
        return Path(download_artifacts(run_id=run.info.run_id, dst_path=str(fresh_folder()), tracking_uri=tracking_uri))
    except (MlflowException, OSError) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(f"the files of {whose} cannot be fetched: {reason}") from None


def missing(runs: Mapping[str, Run]) -> str:
    """Which of these runs, by what they are called, have no files where the record says, in one line. Empty where all
    have, or a server has them."""
    gone = {whose: folder for whose, run in runs.items() if (folder := folder_here(run)) and not folder.is_dir()}
    if not gone:
        return ""
    names = f"{', '.join(list(gone)[:MOST_NAMED])}{' ...' if len(gone) > MOST_NAMED else ''}"
    return f"the files of {names} are not there: no folder {next(iter(gone.values()))}; {BRING}"


def folder_here(run: Run) -> Path | None:
    """Where the files of a run lie, or should; None where a server has them."""
    return folder_at(run.info.artifact_uri)


def folder_at(uri: str) -> Path | None:
    """The folder of this machine that an address of files means; None of any other."""
    place = urlparse(uri)
    return Path(unquote(place.path)) if place.scheme in ("", "file") else None
