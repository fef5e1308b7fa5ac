"""What a picker was trained with, and is therefore scored with: its settings of data and picks.

A trial's configuration lies in the record and beside its files; a promoted picker's folder has it in its card. Whoever
scores a picker says only what is to be otherwise.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from seisweep import results
from seisweep.artifacts.reference import Reference
from seisweep.record import tags
from seisweep.results import SweepResults
from seisweep.settings.earlier import as_it_was
from seisweep.settings.fields import known_keys
from seisweep.settings.overrides import build_config, flatten
from seisweep.settings.scored_with import CACHE, DATASET, OF_TRAINING, SHARES, STREAMS
from seisweep.text import show_settings, show_value
from trainables.config import Config
from trainables.data.catalog import fingerprints
from trainables.data.config import DataConfig, each_of
from trainables.evaluation.picks import PickConfig
from trainables.export.picker_folder import DESCRIPTION_FILE


class ScoringConfig(Config):
    """On which windows pickers are scored, and how picks are matched."""

    data: DataConfig
    """The data set and its dev windows."""

    picks: PickConfig = PickConfig()
    """How picks are found and matched."""


@dataclass(frozen=True)
class TrainedWith:
    """What is recorded of a picker's training."""

    settings: Mapping[str, Any]
    """Of the groups `data` and `picks`, by dotted key."""
    data_fingerprint: str = ""
    """Of the data set as it was then; empty where nobody knows."""


def trained_with(named: Reference, files: Sequence[Path | str]) -> TrainedWith | None:
    """What is recorded of the picker that `named` stands for, whose files these are; None where nothing is."""
    trial = named.trial() if named.kind == "trial" else None
    if named.kind == "mlflow":
        trial = trial_behind(named)
    if trial is not None:
        loaded, number = trial
        facts, found = loaded.tags(number), _of_configuration(_configuration(loaded, number))
        if found is None or facts.get("dataset") not in (None, ", ".join(each_of(found.settings[DATASET]))):
            return found
        return TrainedWith(found.settings, facts.get(tags.DATA_FINGERPRINT, ""))
    folder = next((Path(file).parent for file in files if isinstance(file, Path)), None)
    return _beside(folder) if folder else None


def scoring(
    given: Mapping[str, Any], models: Mapping[str, TrainedWith | None], cache_dir: Path | None
) -> tuple[ScoringConfig, str]:
    """With what these models are scored together, and in one line which settings came from where.

    `given`: what the user says, by dotted key, which goes before what is recorded. Raises ValueError in one line where
    a setting is not allowed, or where the models were trained with several values of one that is not given.
    """
    known = known_keys(ScoringConfig)
    settled = {CACHE: str(cache_dir) if cache_dir else None, **given}  # another machine may have trained them
    recorded = {
        name: _complete({key: value for key, value in one.settings.items() if key in known and _scores(key)} | settled)
        for name, one in models.items()
        if one is not None
    }
    for key in known:
        values = {name: settings[key] for name, settings in recorded.items()}
        name, value = next(iter(values.items()), ("", None))
        other = next((other for other, its in values.items() if its != value), None)
        if other is not None and key not in OF_TRAINING:
            raise ValueError(
                f"{key}: {name} was trained with {show_value(value)} and {other} with {show_value(values[other])}; "
                f"say which to score with: {key}=..."
            )
    config = build_config(ScoringConfig, next(iter(recorded.values()), settled))
    return config, _which_from_where(given, models, dict(flatten(config.model_dump(mode="json"))))


def changed_since(models: Mapping[str, TrainedWith | None], dataset: str | list[str]) -> list[str]:
    """Which of these models were trained on these data sets when they were others."""
    found = fingerprints(dataset)
    return [
        name
        for name, one in models.items()
        if one is not None and one.settings[DATASET] == dataset and one.data_fingerprint not in ("", found)
    ]


def _complete(settings: Mapping[str, Any]) -> dict[str, Any]:
    return dict(flatten(build_config(ScoringConfig, settings).model_dump(mode="json")))


def _which_from_where(
    given: Mapping[str, Any], models: Mapping[str, TrainedWith | None], settings: Mapping[str, Any]
) -> str:
    trained = {name: one.settings for name, one in models.items() if one is not None}
    defaults = _complete({DATASET: ""})
    parts = []
    if trained:
        scored = [key for key in settings if key not in (*OF_TRAINING, *given) and settings[key] != defaults[key]]
        words = show_settings({key: settings[key] for key in scored}) or "all other settings are defaults"
        parts.append(f"as {', '.join(trained)} {'was' if len(trained) == 1 else 'were'} trained: {words}")
    if given:
        parts.append(f"as given: {' '.join(_instead(key, value, trained.values()) for key, value in given.items())}")
    if unknown := [name for name, one in models.items() if one is None]:
        parts.append(f"there is no record of the training of {', '.join(unknown)}")
    if left := {key for its in trained.values() for key in its if key not in settings}:
        parts.append(f"left out, because pickers do not have them: {', '.join(sorted(left))}")
    return f"settings {'; '.join(parts)}"


def _instead(key: str, value: Any, trained: Iterable[Mapping[str, Any]]) -> str:
    """A setting that the user says, with what it was before where that was another."""
    before = dict.fromkeys(show_value(its[key]) for its in trained if its.get(key, value) != value)
    return f"{key}={show_value(value)}" + (f" (trained with {', '.join(before)})" if before else "")


def _configuration(loaded: SweepResults, number: int) -> Any:
    try:
        return loaded.config(number)
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ValueError(f"the configuration of trial {number} of {loaded.name} cannot be read: {error}") from None


def _of_configuration(config: Any) -> TrainedWith | None:
    """Its groups `data` and `picks`; None where it is not a picker's configuration."""
    config = as_it_was(config)
    if not isinstance(config, dict) or not isinstance(config.get("data"), dict):
        return None
    groups = {group: config[group] for group in ScoringConfig.model_fields if isinstance(config.get(group), dict)}
    settings = dict(flatten(groups))
    return TrainedWith(settings) if isinstance(dataset := settings.get(DATASET), str | list) and dataset else None


def _scores(key: str) -> bool:
    """Whether pickers are scored with it: streams and the shares of data sets are for training."""
    return key != SHARES and not key.startswith(STREAMS)


def _beside(folder: Path) -> TrainedWith | None:
    """What a folder of files says itself: a trial's, or one that a promotion has made."""
    for file, way in ((tags.CONFIG_FILE, ()), (DESCRIPTION_FILE, ("card", "settings"))):
        try:
            config = json.loads((folder / file).read_text(encoding="utf-8"))
            for step in way:
                config = config[step]
        except (OSError, ValueError, KeyError, TypeError):
            continue  # any file may have this name
        if (found := _of_configuration(config)) is not None:
            return found
    return None


def trial_behind(named: Reference) -> tuple[SweepResults, int] | None:
    """The trial that an MLflow run or a registered model comes from; None where it comes from none that is there."""
    assert named.store is not None
    client = MlflowClient(named.store.uri, named.store.uri)
    try:
        run = client.get_run(_run_id(client, named.uri))
        if trained_by := run.data.tags.get(tags.PROMOTED_RUN):
            run = client.get_run(trained_by)
    except MlflowException:
        return None
    facts = run.data.tags
    if facts.get(tags.ROLE) != tags.TRIAL_ROLE:
        return None
    loaded, number = results.load(facts[tags.SWEEP], named.store.uri), int(facts[tags.TRIAL])
    is_this_one = number in loaded.runs and loaded.run(number).info.run_id == run.info.run_id
    return (loaded, number) if is_this_one else None


def _run_id(client: MlflowClient, uri: str) -> str:
    kind, _, rest = uri.partition(":/")
    name, _, version = rest.strip("/").partition("/")
    if kind == "runs":
        return name
    name, at, alias = name.partition("@")
    if at:
        return client.get_model_version_by_alias(name, alias).run_id or ""
    if not version:  # a model that was logged and not registered: models:/m-0123
        return client.get_logged_model(name).source_run_id or ""
    return client.get_model_version(name, version).run_id or ""
