"""What the terminal behind a stream can do: its width, whether it redraws lines, shows colours, follows links."""

from __future__ import annotations

import os
import shutil
import textwrap
from typing import TextIO

USUAL_COLUMNS = 80
"""Of a terminal that does not say how wide it is."""

_FOLLOWS_LINKS = ("TERM_PROGRAM", {"iTerm.app", "WezTerm", "vscode", "ghostty", "Hyper", "Tabby", "rio", "zed"})
_NAMES_ITSELF = ("WT_SESSION", "KITTY_WINDOW_ID", "KONSOLE_VERSION", "DOMTERM", "ALACRITTY_WINDOW_ID")
_LEAST_VTE = 5000
"""GNOME's terminals follow links from their version 0.50 on."""


def columns_of(stream: TextIO) -> int | None:
    """How many characters a line has; None where the stream is not a terminal, and lines are as long as they are."""
    if not stream.isatty():
        return None
    return shutil.get_terminal_size((USUAL_COLUMNS, 24)).columns or USUAL_COLUMNS


def wrapped(line: str, stream: TextIO) -> str:
    """A sentence broken between words where a terminal would break it anywhere; an address stays as it is."""
    columns = columns_of(stream)
    if columns is None or len(line) <= columns or "://" in line:
        return line
    return "\n".join(textwrap.wrap(line, columns, break_long_words=False, break_on_hyphens=False))


def redraws(stream: TextIO) -> bool:
    """Whether lines can be drawn over."""
    return stream.isatty() and os.environ.get("TERM", "").lower() not in ("", "dumb", "unknown")


def has_styles(stream: TextIO) -> bool:
    """Whether bold and colours may be used (https://no-color.org)."""
    return redraws(stream) and not os.environ.get("NO_COLOR")


def follows_links(stream: TextIO) -> bool:
    """Whether text that carries an address (OSC 8) can be clicked. A terminal does not say it: those that are known to
    do so are asked by their names, and FORCE_HYPERLINK decides for others."""
    if (forced := os.environ.get("FORCE_HYPERLINK")) is not None:
        return stream.isatty() and forced not in ("", "0")
    if not redraws(stream) or os.environ.get("TMUX") or os.environ.get("STY"):
        return False  # a multiplexer may swallow them
    variable, known = _FOLLOWS_LINKS
    vte = os.environ.get("VTE_VERSION", "")
    return (
        os.environ.get(variable) in known
        or any(os.environ.get(name) for name in _NAMES_ITSELF)
        or (vte.isdigit() and int(vte) >= _LEAST_VTE)
        or os.environ.get("TERM", "").startswith(("xterm-kitty", "foot", "xterm-ghostty", "alacritty"))
    )


def linked(text: str, address: str, stream: TextIO) -> str:
    """The text with the address behind it, where that can be clicked; else the address."""
    return f"\x1b]8;;{address}\x1b\\{text}\x1b]8;;\x1b\\" if follows_links(stream) else address


def bold(text: str, stream: TextIO) -> str:
    return f"\x1b[1m{text}\x1b[0m" if has_styles(stream) else text
