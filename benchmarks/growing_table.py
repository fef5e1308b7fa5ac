"""A table that a long benchmark writes as it comes, a row a training; a second call goes on with what is missing."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from trainables.atomic import whole_file


class GrowingTable:
    """Rows of a CSV, told apart by the columns `keys`."""

    def __init__(self, file: Path, keys: Sequence[str]) -> None:
        self.file, self.keys = file, list(keys)
        there = pd.read_csv(file) if file.exists() else pd.DataFrame(columns=self.keys)
        there[self.keys] = there[self.keys].fillna("")  # a key may be no word at all
        self._rows: list[dict[Any, Any]] = there.to_dict("records")

    def has(self, *key: Any) -> bool:
        return any(tuple(row[name] for name in self.keys) == key for row in self._rows)

    def add(self, key: Sequence[Any], found: Mapping[str, Any]) -> None:
        """A row, which is in the file when this returns; the file is always whole."""
        self._rows.append(dict(zip(self.keys, key, strict=True)) | dict(found))
        with whole_file(self.file) as arriving:
            self.frame.to_csv(arriving, index=False)
        print(self._rows[-1], file=sys.stderr, flush=True)

    @property
    def frame(self) -> pd.DataFrame:
        return pd.DataFrame(self._rows)
