"""Promotion: the test split is opened once, on the record, and the chosen model becomes one that others can use."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any

from mlflow.entities import Metric, Run
from mlflow.tracking import MlflowClient

from seisweep import results
from seisweep.promotion import model_card as cards
from seisweep.promotion.beside import alike, best_of, check_lengths, entries_beside, entries_of_trials
from seisweep.promotion.openings import Openings, described
from seisweep.promotion.registry import fitting, register, without_scores
from seisweep.promotion.sources import origins_of
from seisweep.record import tags
from seisweep.record.provenance import hardware, launch_tags
from seisweep.requested.trainable import Trainable
from seisweep.results.sweep_results import SweepResults
from seisweep.settings.home import Home
from seisweep.settings.profile import Profile
from seisweep.settings.which_store import ready_to_write, store_of_sweep
from trainables import metrics
from trainables.data.catalog import fingerprints
from trainables.data.config import each_of
from trainables.data.streams import data_fingerprint
from trainables.export.artifacts import GATE_TAG
from trainables.export.picker_folder import write_picker_folder
from trainables.promotion.candidate import FP32, INT8, Candidate, Measured
from trainables.promotion.picker import PickerCandidate
from trainables.promotion.side_by_side import Entry, as_plain, compare, with_thresholds

PICKERS, CLASSIFIERS = ("distillation", "picking"), ("finetuning",)

Say = Callable[[str], None]


@dataclass(frozen=True)
class Promotion:
    """What came of it."""

    name: str
    """Of the registered model: the sweep's."""
    trial: int
    """The champion."""
    others: list[int]
    """Further trials that were registered in the same opening, without an alias."""
    aliases: dict[str, int]
    """Versions of the registered model: fp32, int8 where there is one, champion."""
    measured: dict[str, Measured]
    """By split, dev and test."""
    card: dict[str, Any]
    candidate: Candidate
    folder: Path | None
    """The picker folder; None for a classifier."""
    side_by_side: list[dict[str, Any]]
    """Tables of several models on the test split, one for each data set; empty where one trial alone was promoted."""
    refused: str
    """Why there is no INT8 model; empty where there is one or none is made."""
    tracking_uri: str
    run_id: str


def promote(
    name: str,
    trial: int | None,
    again: bool,
    home: Home,
    profile: Profile,
    say: Say,
    *,
    trials: Sequence[int] = (),
    others: Sequence[str] = (),
) -> Promotion:
    """Measure a trial of a sweep (default its best) on the test split, and register its models with their card.

    With `trials` the one of them that is best on dev, and the others in the same card and the same opening: they are
    registered too, without an alias. With `others`, models that `evaluate` takes, in the card alone.

    Whatever is wrong with files, data or models shows on dev, before the test split is opened. Raises ValueError in
    one line where there is nothing to promote, or the test split was opened before and `again` is not asked for.
    """
    loaded = results.load_from(home, name, profile)
    store = ready_to_write(store_of_sweep(home, name, profile), home)
    every = {number: _finished(loaded, number) for number in trials}
    number = best_of(loaded, trials) if trials else loaded.best() if trial is None else trial
    facts = every.get(number) or _finished(loaded, number)
    with tempfile.TemporaryDirectory(prefix="seisweep-promotion-") as scratch:
        candidate = _candidate(loaded, number, facts, home, Path(scratch))
        beside = _beside(loaded, number, candidate, every, others, home, profile)
        about = launch_tags() | {
            tags.SWEEP: name,
            tags.TRIAL: str(number),
            tags.TRAINABLE: facts[tags.TRAINABLE],
            tags.PROMOTED_RUN: loaded.run(number).info.run_id,
            tags.MODELS: candidate.digests,
            **(beside.about if beside else {}),
        }
        openings = Openings.of(store, candidate.test_split)
        openings.check(about, again)
        say(f"{name} trial {number}: {', '.join(candidate.models)} on dev")
        measured = {"dev": candidate.measure("dev")}
        if beside:
            say(f"{', '.join(entry.name for entry in beside.entries)}: thresholds on dev")
            beside = beside.ready()
        origins = origins_of(loaded.config(number), facts, candidate.test_split)
        results.load_from(home, name, profile).run(number)  # measuring took its time: it may have been deleted
        with openings.opened(f"{name}-{number:03d}", about, again) as opened:
            run, opening = opened.run, opened.opening
            say(f"the test split is open (opening {opening.number})")
            measured["test"] = candidate.measure("test", opening)
            tables = as_plain(compare(beside.candidate, beside.entries, opening)) if beside else []
            earlier = [described(before) for before in opened.earlier]
            card = _card(loaded, number, candidate, measured, origins, opening.number, earlier, tables)
            text = cards.markdown(card, candidate.headlines)
            kept = {key: about[key] for key in (tags.SWEEP, tags.TRIAL, tags.PROMOTED_RUN)}
            kept[tags.OPENING] = str(opening.number)
            client = openings.client
            folder = _written(client, run, candidate, card, text, home.pickers_dir / name, Path(scratch))
            for other, its in (beside.trials if beside else {}).items():
                said = kept | {tags.TRIAL: str(other), tags.PROMOTED_RUN: loaded.run(other).info.run_id}
                register(client, run, name, its, text, said, is_champion=False)
            aliases = register(client, run, name, candidate, text, kept)
            scored = without_scores(client, run, aliases)
            openings.complete(opened, _points(run, measured, scored), {tags.NOTE: fitting(text)})
    refused = facts.get(GATE_TAG, "") if folder and INT8 not in aliases else ""
    versions = {alias: version.number for alias, version in aliases.items()}
    return Promotion(
        name=name,
        trial=number,
        others=list(beside.trials) if beside else [],
        aliases=versions,
        measured=measured,
        card=card,
        candidate=candidate,
        folder=folder,
        side_by_side=tables,
        refused=refused,
        tracking_uri=store.uri,
        run_id=run.info.run_id,
    )


@dataclass(frozen=True)
class _Beside:
    """What is in the card beside the champion."""

    candidate: PickerCandidate
    """The champion."""
    trials: dict[int, PickerCandidate]
    """The other trials of the sweep."""
    entries: list[Entry]
    """All of them, the champion too."""
    about: dict[str, str]
    """What the record of the opening says of them."""

    def ready(self) -> _Beside:
        """With thresholds of all, found on dev."""
        return replace(self, entries=with_thresholds(self.candidate, self.entries))


def _beside(
    loaded: SweepResults,
    champion: int,
    candidate: Candidate,
    every: Mapping[int, Mapping[str, str]],
    others: Sequence[str],
    home: Home,
    profile: Profile,
) -> _Beside | None:
    """None where a trial stands alone. Raises ValueError in one line."""
    if not every and not others:
        return None
    candidates = {champion: candidate}
    if isinstance(candidate, PickerCandidate):  # else the next line refuses
        candidates = {
            number: candidate if number == champion else _candidate(loaded, number, facts, home, Path())
            for number, facts in every.items()
        } or candidates
    pickers = alike(candidates)
    found, digest = entries_beside(others, home, profile)
    entries = [*entries_of_trials(loaded, pickers), *found]
    check_lengths(pickers[champion], entries)
    digests = "; ".join([*(its.digests for its in pickers.values()), digest])
    about = {tags.MODELS: f"side by side {blake2b(digests.encode(), digest_size=16).hexdigest()}"}
    if every:
        about[tags.TRIALS] = ", ".join(map(str, every))
    if others:
        about[tags.BESIDE] = ", ".join(dict.fromkeys(entry.name for entry in found))
    rest = {number: its for number, its in pickers.items() if number != champion}
    return _Beside(pickers[champion], rest, entries, about)


def _finished(loaded: SweepResults, number: int) -> dict[str, str]:
    """The record's facts about a trial that can be promoted. Raises ValueError."""
    facts = loaded.tags(number)
    kind = facts.get(tags.TRAINABLE, "")
    if kind not in (*PICKERS, *CLASSIFIERS):
        known = ", ".join((*PICKERS, *CLASSIFIERS))
        raise ValueError(
            f"{loaded.name} trained {kind}: only pickers and classifiers can be promoted, trained by {known}"
        )
    if facts.get(tags.STATE) != "done":
        reason = f" ({facts[tags.REASON]})" if tags.REASON in facts else ""
        raise ValueError(
            f"trial {number} of {loaded.name} is {facts.get(tags.STATE) or 'unknown'}{reason}: "
            "only a trial that is done can be promoted"
        )
    return facts


def _candidate(loaded: SweepResults, number: int, facts: Mapping[str, str], home: Home, scratch: Path) -> Candidate:
    """What is promoted, from the trial's files. Raises ValueError where they or the data are not what they were."""
    trainable = Trainable.find(facts[tags.TRAINABLE])
    settings = loaded.config(number)
    if facts[tags.TRAINABLE] in PICKERS:
        settings["data"]["cache_dir"] = str(home.cache_dir)  # another machine may have trained it
    config = trainable.load(settings)
    dataset, recorded = ", ".join(each_of(config.data.dataset)), facts.get(tags.DATA_FINGERPRINT)
    is_picker = facts[tags.TRAINABLE] in PICKERS
    found = data_fingerprint(config.data) if is_picker else fingerprints(config.data.dataset)
    if facts.get("dataset", dataset) == dataset and recorded not in (None, found):
        raise ValueError(
            f"data.dataset={dataset} has changed since trial {number} of {loaded.name} was trained on it "
            f"(fingerprint {found}, then {recorded}): its test split may hold records that it was trained on"
        )
    try:
        if facts[tags.TRAINABLE] in PICKERS:
            return PickerCandidate.of(config, loaded.artifacts(number))
        from trainables.promotion.classifier import ClassifierCandidate

        return ClassifierCandidate.of(config, loaded.artifacts(number), scratch)
    except ValueError as error:
        raise ValueError(f"trial {number} of {loaded.name} cannot be promoted: {error}") from None


def _card(
    loaded: SweepResults,
    number: int,
    candidate: Candidate,
    measured: Mapping[str, Measured],
    origins: list[dict[str, str]],
    opening: int,
    earlier: list[str],
    side_by_side: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    facts, settings = loaded.tags(number), loaded.config(number)
    is_picker = facts[tags.TRAINABLE] in PICKERS
    dirty = " with changes" if facts.get(tags.GIT_DIRTY) == "true" else ""
    commit = facts.get(tags.GIT_COMMIT, cards.UNKNOWN)
    words = {
        "sweep": f"{loaded.name}, trial {number} (MLflow run {loaded.run(number).info.run_id})",
        "trained by": f"{facts[tags.TRAINABLE]}, seed {facts[tags.SEED]}, {facts.get(tags.EPOCHS, '?')} epochs",
        "code": f"{commit}{dirty}",
        "versions": facts.get(tags.VERSIONS, cards.UNKNOWN),
        "size": _size(loaded.run(number).data.metrics),
        "trained on": facts.get(tags.HARDWARE, cards.UNKNOWN),
        "measured on": f"{hardware()}, {datetime.now(UTC).date()}",
        "varied": ", ".join(f"{key}={value}" for key, value in sorted(loaded.run(number).data.params.items())),
    }
    limits = []
    if facts.get("events_in_two_splits", "0") != "0":
        limits.append(f"{facts['events_in_two_splits']} events of the data lie in two splits, so scores are too good.")
    if INT8 in candidate.models:
        limits.append("INT8 was measured on one processor (below); another may round otherwise (x86 without VNNI).")
    return cards.build(
        name=loaded.name,
        kind="picker" if is_picker else "classifier",
        trial=words,
        settings=settings,
        facts=candidate.facts,
        origins=origins,
        measured=measured,
        opening=opening,
        earlier=earlier,
        gate=facts.get(GATE_TAG, "") if is_picker else "",
        limits=limits,
        is_agreement=is_picker and not each_of(settings["data"]["dataset"]),
        side_by_side=side_by_side,
    )


def _size(found: Mapping[str, float]) -> str:
    """Parameters, and bytes of the files, as far as the trial recorded them."""
    shown = {metrics.PARAMETERS: "parameters", metrics.FP32_BYTES: "bytes in FP32", metrics.INT8_BYTES: "bytes in INT8"}
    return ", ".join(f"{found[name]:,.0f} {words}" for name, words in shown.items() if name in found)


def _points(run: Run, measured: Mapping[str, Measured], models: Mapping[str, str]) -> list[Metric]:
    """Every score with its interval, of the run and of the model (by precision, its id) that it is of."""
    return [
        Metric(
            metrics.promoted(split, precision, f"{name}{end}"),
            value,
            run.info.start_time,
            0,
            model_id=models.get(precision),
        )
        for split, found in measured.items()
        for precision, scores in found.scores.items()
        for name, interval in scores.items()
        for end, value in zip(("", "_low", "_high"), interval, strict=True)
    ]


def _written(
    client: MlflowClient,
    run: Run,
    candidate: Candidate,
    card: dict[str, Any],
    text: str,
    place: Path,
    scratch: Path,
) -> Path | None:
    """The card and, of a picker, its folder, among the files of the promotion. The picker folder's place."""
    (scratch / tags.CARD_FILE).write_text(text)
    (scratch / tags.CARD_JSON_FILE).write_text(json.dumps(card, indent=2) + "\n")
    for file in (tags.CARD_FILE, tags.CARD_JSON_FILE):
        client.log_artifact(run.info.run_id, str(scratch / file))
    if not isinstance(candidate, PickerCandidate):
        return None
    model = candidate.models.get(INT8, candidate.models[FP32])
    others = [file for file in candidate.models.values() if file != model]
    write_picker_folder(place, model, card, others=others, pair=candidate.pair, text=text)
    client.log_artifacts(run.info.run_id, str(place), tags.PICKER_FOLDER)
    return place
