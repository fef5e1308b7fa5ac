"""The model card: what a promoted model is, how well it does, on what, and what it is not for.

It is plain data (`card.json`, part of a picker folder) and the same as Markdown, the description of the registered
model. (Mitchell et al. 2019, arXiv:1810.03993.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trainables.evaluation.intervals import Interval
from trainables.promotion.candidate import Measured

UNKNOWN = "not stated"

USE = {
    "picker": "Onset times of P and S waves of local and regional earthquakes in continuous three-component records, "
    "as input of an associator or of an analyst.",
    "classifier": "Telling when in the earthquake sequence that it was trained on a record of the same station was "
    "made; for research.",
}
LIMITS = {
    "picker": (
        "Other regions, distances and instruments than those of the training data are untested. Picks are not "
        "reviewed, and a probability is not an error rate: thresholds hold for data like those of the dev split.",
        "Not for decisions about safety by itself.",
    ),
    "classifier": (
        "One sequence at one station: of another sequence it says nothing, and it predicts no earthquake.",
        "Not for decisions about safety.",
    ),
}

AGREEMENT = (
    "No record was labelled. The scores compare the picker with the picks of its teacher, in hours and at "
    "stations that it has not learned from: agreement with the teacher, which is not truth."
)
EVENTS, BLOCKS = "events", "blocks of ten minutes at a station"
"""What is drawn anew for an interval."""


def build(
    *,
    name: str,
    kind: str,
    trial: Mapping[str, str],
    settings: Mapping[str, Any],
    facts: Mapping[str, Any],
    origins: Sequence[Mapping[str, str]],
    measured: Mapping[str, Measured],
    opening: int,
    earlier: Sequence[str],
    gate: str,
    limits: Sequence[str],
    is_agreement: bool = False,
    side_by_side: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """The card as plain data. `kind` is picker or classifier, `trial` what the record says of the trial in words,
    `origins` what it was made of (data, teacher) with licences, `earlier` openings of the test split before this one;
    `is_agreement`: with the teacher's picks, of a picker of continuous waveforms alone; `side_by_side`: tables of
    several models on the test split, as `trainables.promotion.side_by_side.as_plain` makes them.
    """
    units = BLOCKS if is_agreement else EVENTS
    return {
        "name": name,
        "kind": kind,
        "intended_use": USE[kind],
        "limits": [*LIMITS[kind], *limits],
        "trial": dict(trial),
        "interface": dict(facts),
        "origins": [dict(origin) for origin in origins],
        "metrics": {
            split: {
                "windows": found.windows,
                "events": found.events,
                **{
                    precision: {k: v._asdict() for k, v in scores.items()} for precision, scores in found.scores.items()
                },
            }
            for split, found in measured.items()
        },
        "intervals": f"95 %, bootstrap over {units}",
        **({"reference": AGREEMENT, "units": units} if is_agreement else {}),
        **({"side_by_side": [dict(table) for table in side_by_side]} if side_by_side else {}),
        "gate": gate,
        "test_openings": opening,
        "earlier_openings": list(earlier),
        "settings": dict(settings),
    }


def markdown(card: Mapping[str, Any], headlines: Sequence[str]) -> str:
    """The card for people."""
    thresholds = card["interface"].get("thresholds", {})
    parts = [
        f"# {card['name']}",
        card["intended_use"],
        "## Scores",
        card.get("reference", ""),
        _scores(card["metrics"], headlines),
        _samples(card),
        *(_side_by_side(table) for table in card.get("side_by_side", ())),
        "## Input and output",
        _list({key.replace("_", " "): value for key, value in card["interface"].items() if key != "thresholds"}),
        f"Thresholds, chosen on dev: {', '.join(f'{p} {t:g}' for p, t in thresholds.items())}." if thresholds else "",
        f"Gate: {card['gate']}" if card["gate"] else "",
        "## Limits",
        "\n".join(f"- {limit}" for limit in card["limits"]),
        "## Made of",
        "\n".join(_origin(origin) for origin in card["origins"]),
        "## Made by",
        _list(card["trial"]),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def shown(score: Interval | Mapping[str, float]) -> str:
    """`0.873 (0.812 to 0.921)`."""
    value, low, high = score if isinstance(score, Interval) else (score["value"], score["low"], score["high"])
    return f"{value:.3f} ({low:.3f} to {high:.3f})"


def _scores(measured: Mapping[str, Any], headlines: Sequence[str]) -> str:
    columns = [
        (f"{precision} {split}", measured[split][precision])
        for precision in ("fp32", "int8")
        for split in ("dev", "test")
        if precision in measured[split]
    ]
    lines = [["", *(title for title, _ in columns)], ["---"] * (len(columns) + 1)]
    for name in headlines:
        cells = [shown(scores[name]) if name in scores else "" for _, scores in columns]
        if any(cells):
            lines.append([name, *cells])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _side_by_side(table: Mapping[str, Any]) -> str:
    """One table of several models, and how to read it."""
    heads = ("model", "parameters", "bytes", "P F1", "S F1", "mean F1", "difference from best")
    lines = [heads, ("---",) * len(heads)]
    for model in table["models"]:
        scores = [shown(model[name]) if name in model else "" for name in ("p_f1", "s_f1", "f1")]
        less = "the best" if model["name"] == table["best"] else shown(model["f1_less_best"])
        sizes = [f"{model[key]:,}" if model[key] is not None else "" for key in ("parameters", "bytes")]
        lines.append((model["name"], *sizes, *scores, less))
    rows = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return (
        f"## Side by side: {table['data']}\n\n{rows}\n\nTest split: {table['windows']} windows of "
        f"{table['events']} events, all in one opening. Each model at the thresholds with the best F1 on dev. Which is "
        "the best was found on these same records, which flatters it."
    )


def _samples(card: Mapping[str, Any]) -> str:
    sizes = [
        f"{split}: {found['windows']} windows of {found['events']} {card.get('units', EVENTS)}"
        for split, found in card["metrics"].items()
    ]
    times = f"This test split was opened {card['test_openings']} time{'s' if card['test_openings'] > 1 else ''}"
    before = f" (before: {'; '.join(card['earlier_openings'])})" if card["earlier_openings"] else ""
    return (
        f"{', '.join(sizes)}. In brackets: {card['intervals']}. Weights and thresholds were chosen on dev: its "
        f"scores flatter. {times}{before}."
    )


def _list(facts: Mapping[str, Any]) -> str:
    return "\n".join(f"- {key}: {value}" for key, value in facts.items() if value != "")


def _origin(origin: Mapping[str, str]) -> str:
    rest = "; ".join(f"{key}: {value}" for key, value in origin.items() if key not in ("what", "name"))
    return f"- {origin['what']}: {origin['name']}; {rest}"
