"""Pages of the site that are made out of the code when it is built, so that they say what the code does."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from types import ModuleType

import numpy as np
import typer.core
import typer.main
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from seisweep.cli import app
from seisweep.requested.explained import Explained, explained, groups, shown, what_is
from seisweep.requested.trainable import OWN
from seisweep.settings.fields import allowed, walk
from seisweep.settings.profile import Profile
from seisweep.settings.words import words_of
from typer.cli import get_docs_for_click

from search_spaces.named import NAMED
from search_spaces.narrowing import dimensions
from trainables import metrics
from trainables.data.config import PHASES
from trainables.evaluation.picks import FIELDS, scores_of

BETTER = {"max": "more", "min": "less", "zero": "nearer to 0", None: ""}
"""What is better, by `metrics.direction`."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """MkDocs calls this once it knows which pages there are."""
    for path, text in pages().items():
        files.append(File.generated(config, path, content=text))
    return files


def pages() -> dict[str, str]:
    """Text of each page by its path below docs/."""
    return {
        "reference/commands.md": commands(),
        "reference/sweeps.md": named_sweeps(),
        **{f"reference/settings/{name}.md": settings(name) for name in OWN},
        "reference/profiles.md": profiles(),
        "reference/metrics.md": names_of_metrics(),
    }


def commands() -> str:
    """Every command with its arguments and options, as `--help` has them."""
    program = typer.main.get_command(app)
    assert isinstance(program, typer.core.TyperGroup)
    context = typer.Context(program, info_name="seisweep", **program.context_settings)
    rows = [
        (f"[`{name}`](#seisweep-{name})", command.get_short_help_str(limit=300))
        for name, command in program.commands.items()
    ]
    return _joined(
        [
            "# Commands",
            "`seisweep COMMAND -h` shows the same in a terminal. All have the same [exit codes](exit-codes.md).",
            _table(("command", "what it does"), rows),
            *(
                get_docs_for_click(obj=command, ctx=context, indent=1, name=name, call_prefix="seisweep")
                for name, command in program.commands.items()
            ),
        ]
    )


def named_sweeps() -> str:
    """What each named sweep trains, fixes and searches."""
    lines = [
        "# Named sweeps",
        "`seisweep run NAME` runs one, `seisweep settings NAME` shows all that can be set in it, and `key=value` fixes "
        "or narrows what it searches.",
    ]
    for name, build in NAMED.items():
        sweep = build()
        budget = "every combination once" if sweep.sampler == "grid" else f"{sweep.samples} trials"
        seeds = f"seed{'s' if sweep.seeds[1:] else ''} {', '.join(map(str, sweep.seeds))}"
        objectives = ", ".join(f"`{metric}` ({BETTER[way]} is better)" for metric, way in sweep.objectives.items())
        lines += [
            f"## {name}",
            f"{sweep.description[:1].upper()}{sweep.description[1:]}.",
            f"Trains [{sweep.trainable}](settings/{sweep.trainable}.md): {budget}, sampler `{sweep.sampler}`, "
            f"scheduler `{sweep.scheduler}`, {seeds}. Objective: {objectives}.",
            *([f"You give: {', '.join(f'`{key}`' for key in sweep.required)}."] if sweep.required else []),
            _table(("searched", "values"), [(f"`{key}`", values) for key, values in dimensions(sweep).items()]),
        ]
        if sweep.base:
            fixed = [(f"`{key}`", f"`{value}`") for key, value in sweep.base.items()]
            lines.append(_table(("instead of its default", "this sweep has"), fixed))
    return _joined(lines)


def settings(trainable: str) -> str:
    """Every setting of a trainable, as `seisweep settings` shows it."""
    sweep = what_is(trainable)
    about = groups(sweep)
    lines = [
        f"# Settings of {trainable}",
        f"`seisweep settings {trainable}` shows the same in a terminal. A setting is given as `key=value`.",
    ]
    ungrouped_first = sorted(explained(sweep), key=lambda one: "." in one.key)
    for group, found in groupby(
        ungrouped_first, key=lambda one: "".join(one.key.rpartition(".")[:2]).partition(".")[0]
    ):
        lines += [
            f"## {group or 'Without a group'}",
            about[group] if group else "",
            _settings_table(list(found)),
        ]
    return _joined(lines)


def profiles() -> str:
    """Every field of a profile."""
    rows = [
        (
            f"`{key}`",
            f"`{shown(field.default)}`",
            allowed(Profile, key),
            field.description or "",
        )
        for key, field in walk(Profile)
    ]
    return _joined(
        ["# Profiles", inspect.cleandoc(Profile.__doc__ or ""), _table(("field", "default", "takes", "meaning"), rows)]
    )


def names_of_metrics() -> str:
    """Every metric with a name of its own, and what the names of all others are made of."""
    constants = dict(_constants(metrics))
    of_picks = scores_of(np.ones((len(PHASES), len(FIELDS))), dict.fromkeys(PHASES, 0.5), "dev")
    rows = [
        (f"`{name}`", meaning or words_of(name), BETTER[metrics.direction(name)])
        for name, meaning in (dict.fromkeys(of_picks, "") | constants).items()
    ]
    return _joined(
        [
            "# Names of metrics",
            inspect.cleandoc((metrics.__doc__ or "").partition("\n")[2]),
            "`NAME_low` and `NAME_high` are the ends of the 95 % interval of `NAME`. In MLflow a name such as `dev/f1` "
            "is by epoch, and `best/dev/f1` is the score of the weights that a trial ends with.",
            "Scores of picks have other beginnings too: `fp32/` and `int8/` are of these files on dev, `teacher/` is "
            "of the teacher, `agreement/` is against the teacher's picks, `test_fp32/` and `test_int8/` are what "
            "`seisweep promote` found.",
            _table(("metric", "what it is", "better"), rows),
        ]
    )


def _constants(module: ModuleType) -> Iterator[tuple[str, str]]:
    """Names of metrics in a module that holds them as constants, each with the text below it."""
    body = ast.parse(Path(module.__file__ or "").read_text()).body
    for statement, after in zip(body, [*body[1:], None], strict=True):
        match statement, after:
            case ast.Assign(targets=[ast.Name(name)]), ast.Expr(value=ast.Constant(str(meaning))):
                pass
            case ast.Assign(targets=[ast.Name(name)]), _:
                meaning = ""
            case _:
                continue
        if isinstance(value := getattr(module, name), str):
            yield value, meaning


def _settings_table(found: Sequence[Explained]) -> str:
    rows = [
        (
            f"`{one.key}`",
            f"`{one.default}` {one.unit}" if one.default != "must be given" else one.default,
            one.takes,
            one.meaning,
        )
        for one in found
    ]
    return _table(("key", "default", "takes", "meaning"), rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(one) for one in row) + " |" for row in lines) if rows else ""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|")


def _joined(parts: Sequence[str]) -> str:
    return "\n\n".join(part for part in parts if part) + "\n"
