"""`seisweep data build`: a SeisBench data set out of picks and an archive of waveforms."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from seisweep.screen.live import progress_bar
from seisweep.screen.tables import as_table
from seisweep.text import some

if TYPE_CHECKING:
    from trainables.data.building import Built

_SHOWN = 3


class WithLists(TyperCommand):
    """A command whose options --picks and --waveforms take all that follows them, as a shell's `*.xml` gives it."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, repeated(args, ("--picks", "--waveforms")))


def repeated(args: list[str], names: tuple[str, ...]) -> list[str]:
    """The words with the option before each of its values; a folder may stand first or last."""
    words, option, values = [], "", 0
    for word in args:
        if word.startswith("-"):
            option, values = word if word in names else "", 0
        elif option and (values := values + 1) > 1:
            words.append(option)
        words.append(word)
    if args and args[0].startswith("-") and option and values > 1:
        del words[-2]  # no folder stood first: it is the last word
    return words


class SplitBy(StrEnum):
    """What the splits keep apart: no event, stretch of time or station is in two of them."""

    EVENT = "event"
    TIME = "time"
    STATION = "station"


def build(
    folder: Annotated[
        Path, typer.Argument(help="New or empty folder for the data set; with --append: an existing data set.")
    ],
    picks: Annotated[
        list[Path],
        typer.Option(
            metavar="FILE...",
            help="Event files that ObsPy reads (QuakeML, SC3ML, NonLinLoc, HypoDD ...), HYPO71 phase cards, or CSV "
            "(SeisBench, GaMMA, PyOcto, seisweep pick, any with --columns). Several: --picks A --picks B.",
        ),
    ],
    waveforms: Annotated[
        list[str],
        typer.Option(
            metavar="ARCHIVE...",
            help="Files and folders that ObsPy reads, a SeisComP archive (SDS), or fdsn:SERVER?network=...",
        ),
    ],
    columns: Annotated[
        str | None, typer.Option(help="Names of the columns of a CSV: station=sta,time=t,phase=ph.")
    ] = None,
    phases: Annotated[
        str, typer.Option(help="Phases to take: P,S or P or S. A phase that is not taken counts as unlabelled.")
    ] = "P,S",
    window_before_s: Annotated[float, typer.Option(help="Seconds before the first pick of an event.")] = 30.0,
    window_after_s: Annotated[float, typer.Option(help="Seconds after the last pick of an event.")] = 60.0,
    rate_hz: Annotated[float, typer.Option(help="Sampling rate; waveforms with another rate are resampled.")] = 100.0,
    components: Annotated[str, typer.Option(help="Components and their order; 1 and 2 stand for N and E.")] = "ENZ",
    noise_share: Annotated[
        float, typer.Option(help="Share of traces that are noise, cut where there are no picks.")
    ] = 0.1,
    split_by: Annotated[SplitBy, typer.Option(help="What the splits keep apart.")] = SplitBy.EVENT,
    shares: Annotated[str, typer.Option(help="Shares of train, dev and test.")] = "0.7,0.15,0.15",
    append: Annotated[
        bool, typer.Option("--append", help="Add what the data set lacks; traces that it has keep their split.")
    ] = False,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Number of processes; default: one for each core, at most 8.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed for drawing noise windows and splits.")] = 0,
) -> int:
    """Make a SeisBench data set out of picks and waveforms, in raw counts: the response is not removed.

    A window holds the picks of one event at one station, and any other picks of that station that lie in it. If it is
    interrupted, call it again and it goes on.
    """
    from trainables.data.building import build as build_dataset
    from trainables.data.catalogues import read_picks

    config = _config(
        phases=tuple(phases.split(",")),
        window_before_s=window_before_s,
        window_after_s=window_after_s,
        rate_hz=rate_hz,
        components=components,
        noise_share=noise_share,
        split_by=split_by.value,
        shares=_shares(shares),
        seed=seed,
    )
    place = folder.expanduser().absolute()
    found = read_picks(picks, _columns(columns), config.phases)
    try:
        with progress_bar("windows") as progress:
            built = build_dataset(place, found, waveforms, config, append=append, jobs=jobs, progress=progress)
    except OSError as error:
        raise ValueError(f"{place}: cannot be written ({error.strerror or error}); call again to go on") from None
    print(as_table(_by_split(built.metadata)))
    for line in [*built.notes, *_lines(built)]:
        print(line, file=sys.stderr)
    print(f"raw counts, the instrument response is not removed; next:\nseisweep data info {folder}", file=sys.stderr)
    print(f"seisweep run distillation data.dataset={folder}", file=sys.stderr)
    return 0 if built.is_complete else 1


def _config(**given: Any) -> Any:
    """Raises ValueError in one line that names the option."""
    from pydantic import ValidationError

    from trainables.data.build_window import BuildConfig

    try:
        return BuildConfig(**given)
    except ValidationError as error:
        first = error.errors()[0]
        option = str(first["loc"][0])
        value = ",".join(map(str, given[option])) if isinstance(given[option], tuple) else given[option]
        words = first["msg"].removeprefix("Value error, ")
        raise ValueError(f"--{option.replace('_', '-')} {value} is not allowed: {words}") from None


def _shares(shares: str) -> tuple[float, ...]:
    try:
        numbers = tuple(map(float, shares.split(",")))
    except ValueError:
        numbers = ()
    if len(numbers) != 3:
        raise ValueError(f"--shares {shares} is not allowed: three numbers such as 0.7,0.15,0.15 (train, dev, test)")
    return numbers


def _columns(columns: str | None) -> dict[str, str]:
    from trainables.data.pick_tables import NAMES

    named = {}
    for pair in filter(None, (columns or "").split(",")):
        key, equals, name = pair.partition("=")
        if not equals or key not in NAMES:
            raise ValueError(f"--columns {pair} is not allowed: {', '.join(NAMES)}, each as {next(iter(NAMES))}=COLUMN")
        named[key] = name
    return named


def _by_split(metadata: Any) -> list[dict[str, Any]]:
    """One row a split; cells of the metadata are texts."""
    from trainables.data.catalog import SPLITS

    rows = []
    for split in SPLITS:
        part = metadata[metadata["split"] == split]
        picks = {
            phase: int((part[[c for c in part if c.startswith(f"trace_{phase}_")]] != "").to_numpy().sum())
            for phase in ("P", "S")
        }
        rows.append(
            {
                "split": split,
                "traces": len(part),
                "events": part.loc[part["source_id"] != "", "source_id"].nunique(),
                "P picks": picks["P"],
                "S picks": picks["S"],
                "P unlabelled": int((part["trace_p_status"] == "unlabelled").sum()),
                "S unlabelled": int((part["trace_s_status"] == "unlabelled").sum()),
                "noise": int((part["trace_category"] == "noise").sum()),
            }
        )
    return rows


def _lines(built: Built) -> list[str]:
    """What was left out, and what else is to be known, with counts."""
    lines = [f"left out: {count} picks, {reason}" for reason, count in built.left_out.most_common() if count]
    lines += [f"{count} {what}" for what, count in built.seen.most_common() if count]
    if built.dead:
        lines.append(f"dead channels: {some(built.dead, _SHOWN)}")
    if built.unpicked:
        lines.append(f"waveforms without any pick: {some(built.unpicked, _SHOWN)}")
    if built.num_responses:
        lines.append(f"{built.num_responses} files with instrument responses are not used")
    if built.no_waveform:
        lines.append(f"channels with text or without a sampling rate are not used: {some(built.no_waveform, _SHOWN)}")
    lines += _failed(built.failed)
    return lines


def _failed(failed: Mapping[str, str]) -> list[str]:
    lines = [f"{place}: cannot be read ({why})" for place, why in list(failed.items())[:_SHOWN]]
    return lines + ([f"... and {len(failed) - _SHOWN} more that cannot be read"] if len(failed) > _SHOWN else [])
