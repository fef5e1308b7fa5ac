"""What a terminal is taken to be able to do, by what it says of itself."""

from __future__ import annotations

import io

import pytest
from seisweep.screen.terminal import bold, columns_of, follows_links, linked, redraws, wrapped

VARIABLES = ("TERM_PROGRAM", "WT_SESSION", "KITTY_WINDOW_ID", "KONSOLE_VERSION", "DOMTERM", "ALACRITTY_WINDOW_ID")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _plain_xterm(monkeypatch):
    for name in (*VARIABLES, "VTE_VERSION", "TMUX", "STY", "FORCE_HYPERLINK", "NO_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


def test_a_pipe_has_no_width_and_gets_no_control_characters():
    assert columns_of(io.StringIO()) is None
    assert not redraws(io.StringIO())
    assert bold("x", io.StringIO()) == "x"
    assert linked("here", "http://server/long", io.StringIO()) == "http://server/long"


def test_the_width_is_that_of_the_terminal_and_80_where_it_has_none(monkeypatch):
    assert columns_of(Terminal()) == 80
    monkeypatch.setenv("COLUMNS", "132")
    assert columns_of(Terminal()) == 132


@pytest.mark.parametrize("term", ["dumb", "unknown", ""])
def test_a_dumb_terminal_is_not_drawn_over(term, monkeypatch):
    monkeypatch.setenv("TERM", term)
    monkeypatch.setenv("VTE_VERSION", "7000")
    assert not redraws(Terminal())
    assert not follows_links(Terminal())
    assert bold("x", Terminal()) == "x"


def test_no_colour_means_no_styles(monkeypatch):
    assert bold("x", Terminal()) == "\x1b[1mx\x1b[0m"
    monkeypatch.setenv("NO_COLOR", "1")
    assert bold("x", Terminal()) == "x"
    assert redraws(Terminal()), "it may still be drawn over"


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("VTE_VERSION", "7006", True),
        ("VTE_VERSION", "4205", False),
        ("TERM_PROGRAM", "iTerm.app", True),
        ("TERM_PROGRAM", "Apple_Terminal", False),
        ("WT_SESSION", "0123", True),
        ("TERM", "xterm-kitty", True),
        ("FORCE_HYPERLINK", "1", True),
    ],
)
def test_links_are_behind_words_where_the_terminal_is_known_to_follow_them(variable, value, expected, monkeypatch):
    assert not follows_links(Terminal())
    monkeypatch.setenv(variable, value)
    assert follows_links(Terminal()) == expected
    text = linked("here", "http://server/long", Terminal())
    assert text == ("\x1b]8;;http://server/long\x1b\\here\x1b]8;;\x1b\\" if expected else "http://server/long")


def test_a_multiplexer_may_swallow_links_unless_they_are_forced(monkeypatch):
    monkeypatch.setenv("VTE_VERSION", "7006")
    monkeypatch.setenv("TMUX", "/tmp/tmux")
    assert not follows_links(Terminal())
    monkeypatch.setenv("FORCE_HYPERLINK", "1")
    assert follows_links(Terminal())
    monkeypatch.setenv("FORCE_HYPERLINK", "0")
    assert not follows_links(Terminal())


def test_sentences_break_between_words_and_addresses_do_not_break(monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    assert wrapped("scores are of the best weights", Terminal()) == "scores are of the\nbest weights"
    assert wrapped("  trials  http://127.0.0.1:5000/#/experiments/1", Terminal()).count("\n") == 0
    assert wrapped("scores are of the best weights", io.StringIO()).count("\n") == 0
