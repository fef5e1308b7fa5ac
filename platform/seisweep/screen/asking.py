"""A question to whoever sits at the terminal."""

from __future__ import annotations

import sys


def can_ask() -> bool:
    """Whether somebody sees a question and can answer it: both streams are a terminal."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def ask(question: str) -> str:
    """The answer, a line without the blanks around it; empty where there is none."""
    print(question, end=" ", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip()
