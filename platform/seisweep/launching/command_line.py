"""The command line as it was typed, for a command that is to run elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

_typed: ContextVar[tuple[str, ...]] = ContextVar("typed", default=())

_CHOSEN = ("--profile", "--name")
"""Options that another machine gets with other values."""


@contextmanager
def typed(words: Sequence[str]) -> Iterator[None]:
    """While it is open, this is what the user has typed behind the program's name."""
    token = _typed.set(tuple(words))
    try:
        yield
    finally:
        _typed.reset(token)


def words() -> tuple[str, ...]:
    """What was typed behind the program's name; empty where a command is called from Python."""
    return _typed.get()


def settings() -> dict[str, str]:
    """What was typed of `key=value`, as it was typed."""
    pairs = (word.partition("=") for word in words() if not word.startswith("-"))
    return {key: value for key, equals, value in pairs if equals}


def for_another_machine(**chosen: str) -> list[str]:
    """The same command with these options (`profile`, `name`) instead of the user's."""
    kept, rest = _without(words(), _CHOSEN)
    return [*kept, *(text for option, value in chosen.items() for text in (f"--{option}", value)), *rest]


def instead_of(
    typed_words: Sequence[str], option: str, others: Sequence[str] = (), settings: Sequence[str] = ()
) -> list[str]:
    """A command without an option that has a value, with other options behind its name and with settings at its end."""
    kept, rest = _without(typed_words, (option,))
    return [*kept[:1], *others, *kept[1:], *rest, *settings]


def _without(typed_words: Sequence[str], options: Sequence[str]) -> tuple[list[str], list[str]]:
    """The words without these options and their values, as they are before a `--` and from it on."""
    kept: list[str] = []
    rest = list(typed_words)
    while rest:
        word = rest.pop(0)
        if word == "--":
            rest = [word, *rest]
            break
        if word in options:
            rest = rest[1:]
        elif not word.startswith(tuple(f"{option}=" for option in options)):
            kept.append(word)
    return kept, rest
