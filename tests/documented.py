"""What README and the pages of docs/ show: their blocks, and the commands in them.

A block without a language holds commands. A comment before it says what becomes of those that no test of
`tests/docs/test_commands.py` can run or read:

    <!-- run by tests/seisweep/demos/test_demos.py -->
    <!-- not run: needs Docker -->
    <!-- not run on this page: needs Kubernetes -->
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).resolve().parent.parent
PAGES = [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]

_BLOCK = re.compile(
    r"(?:^<!-- (?P<mark>.*?) -->\n)?^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^ *```$", re.M | re.S
)
_PAGE_MARK = re.compile(r"^<!-- (not run) on this page(: .*?) -->$", re.M)
_INLINE = re.compile(r"`(seisweep [a-z][^`]*)`")


class Block(NamedTuple):
    """A fenced block of a page."""

    page: Path
    line: int
    language: str
    text: str
    mark: str
    """What the comment before it, or else the one of its page, says."""

    @property
    def where(self) -> str:
        return f"{self.page.relative_to(REPOSITORY)}:{self.line}"

    @property
    def commands(self) -> list[str]:
        """Lines of a shell, without comments, those that go on in the next line put together."""
        lines = self.text.replace("\\\n", " ").splitlines()
        return [line for one in lines if (line := re.sub(r"(^| )# .*", "", one).strip())]


def blocks(page: Path) -> Iterator[Block]:
    """Every fenced block, from top to bottom."""
    text = page.read_text()
    found = _PAGE_MARK.search(text[: text.find("```")])
    of_page = "".join(found.groups()) if found else ""
    for block in _BLOCK.finditer(text):
        line = text.count("\n", 0, block.start("language")) + 1
        yield Block(page, line, block["language"], block["text"], block["mark"] or of_page)


def in_prose(page: Path) -> list[str]:
    """Commands of seisweep that stand within sentences."""
    prose = _BLOCK.sub("", page.read_text())
    return [" ".join(found.split()) for found in _INLINE.findall(prose)]


def words_of(command: str) -> list[str]:
    """As a shell splits them, without variables before the program, and with a data set where `...` stands for what a
    reader has there."""
    words = ["data.dataset=ETHZ" if word == "..." else word for word in shlex.split(command)]
    while words and re.match(r"\w+=", words[0]):
        words.pop(0)
    return words
