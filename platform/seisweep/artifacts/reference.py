"""What a user's word for a model or for weights means. Every command and setting reads it here.

| word | means |
|---|---|
| `distillation-1` | the best trial of a sweep; `distillation-1/3` its trial 3, `distillation-1/best` the best one |
| `runs:/ID`, `models:/NAME@ALIAS`, `models:/NAME/VERSION` | what MLflow holds |
| `./model.onnx`, `./picker` | a file, a SeisBench pair by its stem, a folder of them |
| `hf:ORG/REPO`, `hf:ORG/REPO@REVISION` | a picker folder on a Hugging Face hub |
| `stead` | a SeisBench weight name; `seisbench:NAME` is one for certain |

What is none of these is refused at once, without asking any server of weights.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from seisweep import results
from seisweep.artifacts import hub
from seisweep.results import SweepResults
from seisweep.results.loading import names_in
from seisweep.results.open_store import open_store
from seisweep.say import say_once
from seisweep.settings.fields import nearest
from seisweep.settings.home import Home
from seisweep.settings.paths import HUB, TRIAL_NAME, path_not_sweep
from seisweep.settings.profile import Profile
from seisweep.settings.which_store import Store, check_that_it_is_there, store_by_default, store_of_sweep
from trainables.models.weights import SEISBENCH, known_names


class UnknownNameError(ValueError):
    """A word that is not a path and that neither the record nor SeisBench knows."""


@dataclass(frozen=True)
class Reference:
    """A word that a user typed, and what it stands for."""

    text: str
    kind: Literal["trial", "mlflow", "path", "hub", "seisbench"]
    store: Store | None = None
    """Of a trial and of what MLflow holds: where."""
    sweep: str = ""
    number: int | None = None
    """Of a trial; None: the best one."""
    path: Path | None = None
    """Of a file or folder; of a hub's repository where this machine keeps what it fetches."""

    @property
    def uri(self) -> str:
        """MLflow's address of a run or a registered model."""
        return self.text.rstrip("/")

    def trial(self) -> tuple[SweepResults, int]:
        """The sweep and the trial's number. Raises ValueError where it has no such trial, or none has finished."""
        return self._trial

    @cached_property
    def _trial(self) -> tuple[SweepResults, int]:
        assert self.store is not None
        loaded = results.load(self.sweep, self.store.uri)
        number = loaded.best() if self.number is None else self.number
        loaded.run(number)
        return loaded, number


def read_reference(text: str, home: Home, profile: Profile | None = None, *, pickers: bool = True) -> Reference:
    """What `text` stands for; `pickers`: SeisBench's weights too. Raises ValueError in one line that says what would
    be right: the nearest names that are known, or how to tell two things of one name apart."""
    if text.startswith(("runs:/", "models:/")):
        return Reference(text, "mlflow", check_that_it_is_there(store_by_default(home, profile), home).say())
    if text.startswith(SEISBENCH):
        return Reference(text, "seisbench")
    if text.startswith(HUB):
        return Reference(text, "hub", path=home.cache_dir / hub.FOLDER)
    seisbench = known_names() if pickers else []
    if (path := path_not_sweep(text, home)) is not None:
        return Reference(text, "path", path=path.absolute())  # `./stead` is not a name of SeisBench
    if (sweep := _sweep_of(text, home, profile, seisbench)) is not None:
        if text in seisbench:
            say_once(f"{text} is taken as the sweep of this name; for SeisBench's weights write {SEISBENCH}{text}")
        return sweep
    if text in seisbench:
        return Reference(text, "seisbench")
    if text.startswith(("/", "./", "../", "~")) or Path(text).suffix:
        pair = " (a SeisBench model is a pair of files, NAME.json.v1 and NAME.pt.v1)" if pickers else ""
        raise ValueError(f"{text}: no such file or folder, looked at {Path(text).expanduser().absolute()}{pair}")
    kinds = "sweep, run, SeisBench weights, file or folder" if pickers else "sweep, run, file or folder"
    known = nearest(text.partition("/")[0], [*_sweep_names(home, profile), *seisbench])
    raise UnknownNameError(f"{text}: no {kinds} of this name, looked in {Path.cwd()}{known}")


def _sweep_of(text: str, home: Home, profile: Profile | None, seisbench: Sequence[str]) -> Reference | None:
    """A trial, where the home or the store has a sweep of this name. A store is not asked for what SeisBench has."""
    if not re.fullmatch(TRIAL_NAME, text):
        return None
    name, _, number = text.partition("/")
    if home.sweep_file(name).is_file():
        store = check_that_it_is_there(store_of_sweep(home, name, profile), home, name)
    else:
        store = store_by_default(home, profile)
        has_no_store = store.is_own and not home.database.exists()
        if has_no_store or text in seisbench or not open_store(store.uri).sweeps(name):
            return None
    return Reference(text, "trial", store.say(), name, int(number) if number.isdigit() else None)


def _sweep_names(home: Home, profile: Profile | None) -> list[str]:
    """Sweeps that the home has, and those of the store beside it."""
    return list(dict.fromkeys([*home.sweep_names, *names_in(store_by_default(home, profile), home)]))
