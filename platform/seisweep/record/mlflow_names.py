"""What MLflow takes, and how what it does not take is said instead: names, texts, steps.

Names have letters, digits, `_ - . / :` and spaces, at most 250 characters, and read as a relative path. A store
refuses a whole batch for one name that is otherwise.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping

MOST_CHARACTERS = 250
MOST_OF_A_TAG = 5000
MOST_OF_A_PARAMETER = 6000
LARGEST_STEP = 2**63 - 1
_NOT_ALLOWED = re.compile(r"[^/\w.\- :]")


def allowed_name(name: str) -> str:
    """The name itself where MLflow takes it, else one that resembles it: `recall@5` is `recall_5`."""
    parts = [part for part in _NOT_ALLOWED.sub("_", name).split("/") if part not in ("", ".", "..")]
    said = "/".join(parts) or "_"
    return said if len(said) <= MOST_CHARACTERS else _told_apart(said, name)


def text(value: object, most: int = MOST_OF_A_TAG) -> str:
    """A text that every store keeps: no half of a surrogate pair, no zero byte, not too long."""
    return str(value)[:most].replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def step(number: int) -> int:
    """A step that a store's 64 bits hold."""
    return max(-LARGEST_STEP, min(LARGEST_STEP, number))


class Names:
    """What the metrics and parameters of one run are called in MLflow; no two of them the same.

    Who comes first keeps its name, so a later session has to know what was `renamed`.
    """

    def __init__(self, renamed: str = "") -> None:
        """`renamed`: as `as_tag` gave it in an earlier session."""
        self.renamed: dict[str, str] = read_renamed(renamed)
        """Of those that are called otherwise: name in MLflow to the name that the trial gave."""
        self._theirs = {name: theirs for theirs, name in self.renamed.items()}
        self._taken = dict(self.renamed)

    def __call__(self, name: str) -> str:
        """The name in MLflow."""
        if name not in self._theirs:
            theirs = allowed_name(name)
            if theirs in self._taken:
                theirs = _told_apart(theirs, name)
            self._theirs[name], self._taken[theirs] = theirs, name
            if theirs != name:
                self.renamed[theirs] = name
        return self._theirs[name]

    def as_tag(self) -> str:
        """As many of the renamed ones as a tag has room for, as JSON."""
        said: dict[str, str] = {}
        for theirs, name in self.renamed.items():
            if len(json.dumps(said | {theirs: name})) > MOST_OF_A_TAG:
                break
            said[theirs] = name
        return json.dumps(said)


def read_renamed(tag: str) -> dict[str, str]:
    """Name in MLflow to the trial's own, of a run's tag; empty where it has none."""
    try:
        said = json.loads(tag) if tag else {}
    except ValueError:
        return {}
    return {str(theirs): str(name) for theirs, name in said.items()} if isinstance(said, Mapping) else {}


def _told_apart(said: str, name: str) -> str:
    """With a few digits that follow from the whole name."""
    digits = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{said[: MOST_CHARACTERS - 9]}_{digits}"
