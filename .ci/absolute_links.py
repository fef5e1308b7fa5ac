"""README as a page outside the repository shows it: `absolute_links.py ADDRESS TAG` writes it to standard output.

ADDRESS is the repository's, https://github.com/ORG/REPO. Pictures get the address of their file, other links that of
its page. The file itself keeps its short links, which work in a checkout and on any fork.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

README = Path(__file__).resolve().parent.parent / "README.md"
_LINK = re.compile(r"(!?)(\[[^\]]*\]\()(?![a-z]+:|#)([^)\s]+)(?=[)\s])")


def with_absolute_links(text: str, address: str, tag: str) -> str:
    """The text, whose links begin with `address` where they began with nothing."""
    return _LINK.sub(
        lambda found: f"{found[1]}{found[2]}{address}/{'raw' if found[1] else 'blob'}/{tag}/{found[3]}", text
    )


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: absolute_links.py https://github.com/ORG/REPO TAG")
    sys.stdout.write(with_absolute_links(README.read_text(), sys.argv[1].rstrip("/"), sys.argv[2]))
