"""What a model was made of, for its card: data and weights, with licence and citation as far as they are stated."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seisweep.promotion.model_card import UNKNOWN
from seisweep.record import tags
from trainables.data.catalog import about_dataset
from trainables.data.config import each_of
from trainables.models.architectures import load_picker


def origins_of(settings: Mapping[str, Any], facts: Mapping[str, str], test_split: str) -> list[dict[str, str]]:
    """Data and teacher or pretrained weights of a trial, from its configuration and the record's facts."""
    data = settings["data"]
    found = _data_sets(data, facts, test_split) if each_of(data["dataset"]) else []
    if streams := data.get("streams"):
        found.append(_streams(streams, facts, "" if found else test_split))
    if "teacher" in settings:
        teachers = settings.get("teachers") or [settings["teacher"]["weights"]]
        digests = facts.get("teacher_digest", ", ".join([UNKNOWN] * len(teachers))).split(", ")
        for teacher, digest in zip(teachers, digests, strict=False):
            kind = settings["teacher"].get("architecture")
            found.append({"what": "teacher", **_weights(teacher, {**facts, "digest": digest}, "digest", kind)})
        second = settings.get("second_teacher") or {}
        if weights := second.get("weights"):
            what = "second teacher, for comparison only: the picks that both make are the reference"
            found.append({"what": what, **_weights(weights, {}, "", second.get("architecture"))})
    begun = settings.get("student" if "teacher" in settings else "model", {})
    if pretrained := begun.get("pretrained"):
        kind = begun.get("architecture")
        found.append({"what": "weights it started from", **_weights(pretrained, facts, "pretrained", kind)})
    return found


def _data_sets(data: Mapping[str, Any], facts: Mapping[str, str], test_split: str) -> list[dict[str, str]]:
    names, found = each_of(data["dataset"]), []
    nothing = [UNKNOWN] * len(names)
    prints = facts[tags.DATA_FINGERPRINT].split("+") if tags.DATA_FINGERPRINT in facts else nothing
    traces = facts["traces"].split(" + ") if "traces" in facts else nothing
    shares = data.get("shares") or [None] * len(names)
    for name, its, count, share in zip(names, prints, traces, shares, strict=True):
        stated = about_dataset(name)
        one = {"what": "data", "name": Path(name).name, "fingerprint": its, "traces": count, "test split": test_split}
        one |= {key: stated.get(key, UNKNOWN) for key in ("licence", "citation")}
        if share is not None:
            one["share of the training windows"] = f"{share / sum(shares):.3g}"
        if stated.get("synthetic"):
            one["synthetic"] = "yes: made by seisweep, no real records"
        found.append(one)
    return found


def _streams(streams: str | list[str], facts: Mapping[str, str], test_split: str) -> dict[str, str]:
    """Continuous waveforms; the test split is theirs where there is no data set."""
    return {
        "what": "continuous waveforms without labels",
        "name": ", ".join(Path(one).name for one in each_of(streams)),
        "fingerprint": facts.get("streams_fingerprint", UNKNOWN),
        "hours": facts.get("streams_hours", UNKNOWN),
        **({"test split": test_split} if test_split else {}),
        "licence": UNKNOWN,
        "citation": UNKNOWN,
    }


def _weights(weights: str, facts: Mapping[str, str], digest: str, kind: str | None) -> dict[str, str]:
    """Weights say of themselves what their author wrote into them; of their licence there is no field."""
    described, citation = UNKNOWN, UNKNOWN
    try:
        model = load_picker(weights, "weights", kind).network
    except ValueError:
        pass  # a file that has moved, or of another network
    else:
        # A network of the user's own states nothing.
        described = " ".join((getattr(model, "weights_docstring", None) or UNKNOWN).split())
        citation = " ".join((getattr(model, "citation", None) or UNKNOWN).split())
    return {
        "name": facts.get(tags.WEIGHTS_FROM, Path(weights).name),
        "digest": facts.get(digest, UNKNOWN).partition("\n")[0],
        "licence and origin, as its author states": described,
        "citation": citation,
    }
