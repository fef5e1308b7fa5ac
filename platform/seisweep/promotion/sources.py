"""What a model was made of, for its card: data and weights, with licence and citation as far as they are stated."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seisweep.promotion.model_card import UNKNOWN
from seisweep.record import tags
from trainables.data.catalog import about_dataset
from trainables.models.architectures import load_picker


def origins_of(settings: Mapping[str, Any], facts: Mapping[str, str], test_split: str) -> list[dict[str, str]]:
    """Data and teacher or pretrained weights of a trial, from its configuration and the record's facts."""
    dataset = settings["data"]["dataset"]
    stated = about_dataset(dataset)
    found = [
        {
            "what": "data",
            "name": Path(dataset).name,
            "fingerprint": facts.get(tags.DATA_FINGERPRINT, UNKNOWN),
            "traces": facts.get("traces", UNKNOWN),
            "test split": test_split,
            "licence": stated.get("licence", UNKNOWN),
            "citation": stated.get("citation", UNKNOWN),
        }
    ]
    if stated.get("synthetic"):
        found[0]["synthetic"] = "yes: made by seisweep, no real records"
    if "teacher" in settings:
        teachers = settings.get("teachers") or [settings["teacher"]["weights"]]
        digests = facts.get("teacher_digest", ", ".join([UNKNOWN] * len(teachers))).split(", ")
        for teacher, digest in zip(teachers, digests, strict=False):
            kind = settings["teacher"].get("architecture")
            found.append({"what": "teacher", **_weights(teacher, {**facts, "digest": digest}, "digest", kind)})
    elif pretrained := settings.get("model", {}).get("pretrained"):
        kind = settings["model"].get("architecture")
        found.append({"what": "weights it started from", **_weights(pretrained, facts, "pretrained", kind)})
    return found


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
