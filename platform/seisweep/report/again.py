"""The line that runs a sweep again, for somebody whose files lie elsewhere: its paths stand before it, each once."""

from __future__ import annotations

import re
import shlex

from search_spaces.sweep import Choice, Sweep
from seisweep.settings.paths import texts_in


def replaceable(command: str, wanted: Sweep) -> list[str]:
    """Lines for a shell: the absolute paths of the settings as variables, named by their keys, then the command with
    these in their place. Without such paths the command alone."""
    words, variables = shlex.split(command), _variables(wanted)
    used: dict[str, str] = {}
    line = []
    for word in words:
        inside = _found(word, variables)
        used |= {path: variables[path] for path in inside}
        line.append(_quoted(word, variables) if inside else shlex.quote(word))
    return [*(f"{name}={shlex.quote(path)}" for path, name in used.items()), " ".join(line)]


def _variables(wanted: Sweep) -> dict[str, str]:
    """By path: the key that has it, with a number where that has several."""
    by_key: dict[str, list[str]] = {}
    settings = list(wanted.base.items())
    settings += [(key, one.values) for key, one in wanted.vary.items() if isinstance(one, Choice)]
    if wanted.confirms is not None:
        settings += wanted.confirms.settings.items()
    for key, value in settings:
        paths = [text for text in texts_in(value) if text.startswith("/")]
        name = re.sub(r"\W", "_", key if "." in key else f"the_{key}").upper()  # a key `path` is not the shell's PATH
        by_key.setdefault(name, []).extend(paths)
    named: dict[str, str] = {}
    for name, paths in by_key.items():
        several = list(dict.fromkeys(paths))
        for number, path in enumerate(several, start=1):
            named.setdefault(path, f"{name}_{number}" if several[1:] else name)
    return named


def _pattern(variables: dict[str, str]) -> str:
    longest_first = sorted(variables, key=len, reverse=True)
    return rf"(?<=[=,\[\"])({'|'.join(map(re.escape, longest_first))})(?=[,\]\"]|$)"


def _found(word: str, variables: dict[str, str]) -> list[str]:
    return re.findall(_pattern(variables), word) if variables else []


def _quoted(word: str, variables: dict[str, str]) -> str:
    """The word for a shell, which puts the paths into it."""
    parts = re.split(_pattern(variables), word)
    inside = "".join(
        f"${{{variables[part]}}}" if place % 2 else re.sub(r'([\\"`$])', r"\\\1", part)
        for place, part in enumerate(parts)
    )
    return f'"{inside}"'
