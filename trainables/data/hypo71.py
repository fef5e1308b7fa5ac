"""HYPO71 phase cards, which ObsPy does not read (Lee and Lahr 1975, USGS Open-File Report 75-311, table 3)."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from obspy import UTCDateTime

from trainables.data.pick_tables import PickRow

# Columns: 1-4 station, 5-8 onset, P, first motion, weight; 10-19 year to minute; 20-24 seconds of P;
# 32-36 seconds of S; 37-40 onset, S, first motion, weight.
_CARD = re.compile(r"^(?P<station>\S[\w ]{3})[ IEie]P[ \w+-][ 0-4] (?P<minute>[ \d]{9}\d)(?P<p_s>[ \d.]{5})")
_NO_WEIGHT = "4"


def is_hypo71(text: str) -> bool:
    """Whether the first lines of a file that say anything are phase cards (cards of the crust may come before)."""
    lines = [line for line in text.splitlines()[:200] if line.strip()]
    cards = sum(bool(_CARD.match(line)) for line in lines)
    return cards > 0 and 2 * cards >= len(lines)


def read_hypo71(file: Path, left_out: Counter[str]) -> list[PickRow]:
    """The picks of all cards. A card that is none ends an event: the instruction card, or a blank one.

    An event is named by the minute and second of its first arrival. Raises ValueError naming file and line.
    """
    rows: list[PickRow] = []
    of_event: list[PickRow] = []
    for number, line in enumerate([*file.read_text(errors="replace").splitlines(), ""], start=1):
        if card := _CARD.match(line):
            of_event += _card_rows(card, line, f"{file}, line {number}", left_out)
        elif of_event:
            first = min(row.time_ns for row in of_event)
            rows += [row._replace(event=f"event-{UTCDateTime(ns=first)}") for row in of_event]
            of_event = []
    return rows


def _card_rows(card: re.Match[str], line: str, where: str, left_out: Counter[str]) -> list[PickRow]:
    try:
        minute = _minute(card["minute"].replace(" ", "0"))
        found = [("P", float(card["p_s"]), line[7:8])]
        if line[36:39].strip().upper().endswith("S"):
            found.append(("S", float(line[31:36]), line[39:40]))
    except ValueError:
        raise ValueError(f"{where}: no HYPO71 phase card: {line.rstrip()}") from None
    rows = []
    for phase, seconds, weight in found:
        if weight == _NO_WEIGHT:
            left_out["weight 4 (not to be used) in HYPO71"] += 1
        else:
            time_ns = minute.ns + round(seconds * 1e9)
            rows.append(PickRow("", "", card["station"].strip(), "", phase, time_ns, "manual"))
    return rows


def _minute(digits: str) -> UTCDateTime:
    """YYMMDDHHMM; two digits of a year from 70 on are of the last century."""
    year = int(digits[:2])
    return UTCDateTime(year + (1900 if year >= 70 else 2000), *(int(digits[n : n + 2]) for n in (2, 4, 6, 8)))
