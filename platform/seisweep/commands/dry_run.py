"""What `seisweep run --dry-run` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from seisweep.screen.tables import print_fitting
from seisweep.text import short_names, show_value

if TYPE_CHECKING:
    from seisweep.launching.dry_run import LookAhead
    from seisweep.requested.estimate import Size


def show(found: LookAhead) -> None:
    """Space, what is fixed, first trials, sizes, time."""
    from seisweep.requested.estimate import how_long, larger_than_its_teacher

    sweep, ahead = found.sweep, found.ahead
    print(_heading(found))
    _block("searched", found.searched)
    _block("fixed", {key: show_value(value) for key, value in found.fixed.items()})
    of = sweep.trainable if found.searched else sweep.name
    print(f"\nall other settings have their defaults: seisweep settings {of}")
    if ahead.first:
        print(f"\nthe first {'trial' if len(ahead.first) == 1 else f'{len(ahead.first)} trials'}")
        print_fitting(_first_trials(ahead.first), [])
    if ahead.sizes:
        print("\nmodels")
        print_fitting(_sizes(ahead.sizes), ["model", "parameters"])
    print(f"\n{how_long(sweep, ahead.num_trials, ahead.at_a_time, ahead.pace) if ahead.pace else _no_time(found)}")
    if larger := larger_than_its_teacher(ahead.sizes, ahead.pace):
        print(larger)


def _heading(found: LookAhead) -> str:
    sweep, num = found.sweep, found.ahead.num_trials
    trials = "as many trials as fit into its time" if num is None else f"{num} trial{'s' if num != 1 else ''}"
    objectives = ", ".join(f"{metric} {direction}" for metric, direction in sweep.objectives.items())
    how = [f"sampler {sweep.sampler}", f"scheduler {sweep.scheduler}", f"seed{'s' if sweep.seeds[1:] else ''} "]
    how[-1] += ", ".join(map(str, sweep.seeds))
    return f"{sweep.name}: {trials} of {sweep.trainable}, {objectives}; {', '.join(how)}"


def _block(title: str, lines: dict[str, str]) -> None:
    if not lines:
        return
    width = max(map(len, lines))
    print(f"\n{title}")
    for key, words in lines.items():
        print(f"  {key.ljust(width)}  {words}")


def _first_trials(first: list[tuple[dict[str, Any], int]]) -> list[dict[str, Any]]:
    short = short_names(list(dict.fromkeys(key for params, _ in first for key in params)))
    seeds = len({seed for _, seed in first}) > 1
    return [
        {"trial": number}
        | {heading: params.get(key) for key, heading in short.items()}
        | ({"seed": seed} if seeds else {})
        for number, (params, seed) in enumerate(first)
    ]


def _sizes(sizes: list[Size]) -> list[dict[str, Any]]:
    names = ["every one"] if len(sizes) == 1 else ["smallest", "largest"]
    rows = []
    for name, size in zip(names, sizes, strict=True):
        row: dict[str, Any] = {"model": name, "parameters": size.parameters}
        if any(one.fp32_bytes for one in sizes):
            row |= {"FP32 bytes": size.fp32_bytes, "INT8 bytes": size.int8_bytes}
        short = short_names(size.settings)
        rows.append(row | {short[key]: value for key, value in size.settings.items()})
    return rows


def _no_time(found: LookAhead) -> str:
    return found.ahead.why_no_pace or (
        f"how long a trial takes cannot be measured beforehand for {found.sweep.trainable}: the first trials show it"
    )
