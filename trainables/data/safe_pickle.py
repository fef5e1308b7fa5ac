"""Reading a pandas pickle from strangers: only what a table of numbers and words is made of, nothing else runs."""

from __future__ import annotations

import io
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas.compat import pickle_compat
from pandas.core.internals import BlockManager

_ALLOWED = {
    ("builtins", "slice"),
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "scalar"),
    ("numpy._core.numeric", "_frombuffer"),
    ("pandas", "DataFrame"),
    ("pandas", "Index"),
    ("pandas", "RangeIndex"),
    ("pandas._libs.internals", "_unpickle_block"),
    ("pandas.core.frame", "DataFrame"),
    ("pandas.core.indexes.base", "Index"),
    ("pandas.core.indexes.base", "_new_Index"),
    ("pandas.core.indexes.numeric", "Int64Index"),
    ("pandas.core.indexes.range", "RangeIndex"),
    ("pandas.core.internals.blocks", "new_block"),
    ("pandas.core.internals.managers", "BlockManager"),
}
"""What pandas 1.1 to 3 names in a pickled table whose columns are numbers, words, lists and arrays."""

_HOLDS_STATE = (pd.DataFrame, BlockManager, np.ndarray)


class _RefusedError(Exception):
    """The pickle asks for something that a table does not need."""


def _plain_dtype(text: str, *_: object) -> np.dtype:
    if not isinstance(text, str) or not re.fullmatch(r"[<|=]?[biufOUS]\d*", text):
        raise _RefusedError(f"an array of it is of type {text}, not of numbers, words or objects")
    return np.dtype(text)


def _empty_array(*_: object) -> np.ndarray:
    """What numpy's `_reconstruct` makes, before the array gets its state."""
    return np.empty(0, dtype=np.int8)


class _Array:
    """Stands for numpy's own type, which is only an argument of `_reconstruct` and must not be called."""


_STAND_INS: dict[str, Any] = {"dtype": _plain_dtype, "_reconstruct": _empty_array, "ndarray": _Array}


class _TableUnpickler(pickle_compat.Unpickler):
    """pandas' own reader of old pickles, behind an allow-list.

    State is given to tables and arrays alone: a pickle could otherwise set attributes of a class or a function.
    """

    dispatch = pickle_compat.Unpickler.dispatch.copy()
    num_tables = 0

    def find_class(self, module: str, name: str) -> Any:
        module = module.replace("numpy.core.", "numpy._core.")  # its name until numpy 2
        if (module, name) not in _ALLOWED:
            raise _RefusedError(f"it names {module}.{name}, which no table of waveforms needs")
        return _STAND_INS.get(name) or super().find_class(module, name)

    def load_build(self) -> None:
        instance, state = self.stack[-2:]
        if isinstance(instance, np.dtype):
            # Not applied: flags made up by a stranger would let numpy read memory that is not an array's.
            if not (isinstance(state, tuple) and len(state) > 1 and state[1] in ("<", "|", "=")):
                raise _RefusedError("an array of it has a number format that is not this machine's")
            self.stack.pop()
            return
        if type(instance) not in _HOLDS_STATE:
            raise _RefusedError(f"it sets attributes of {getattr(instance, '__name__', type(instance).__name__)}")
        super().load_build()

    dispatch[pickle.BUILD[0]] = load_build

    def load_newobj(self) -> None:
        super().load_newobj()
        if isinstance(self.stack[-1], pd.DataFrame):
            self.num_tables += 1
            if self.num_tables > 1:  # one without its data would break whatever looks at the cell
                raise _RefusedError("it holds a table within a table")

    dispatch[pickle.NEWOBJ[0]] = load_newobj


def _check_whole(table: pd.DataFrame) -> None:
    """A table that was made and never got its data fails where anything of it is looked at."""
    try:
        whole = table.shape == (len(table.index), len(table.columns))
    except (AttributeError, RecursionError):
        whole = False
    if not whole:
        raise _RefusedError("the table in it has no data")


def read_table(path: Path) -> pd.DataFrame:
    """The table of a pandas pickle, old or new, whatever the file is called.

    Raises ValueError in one line where the file is damaged, holds something else, or names anything but the few
    pandas and numpy types of `_ALLOWED`; nothing that it names is imported or called then.
    """
    try:
        table = _TableUnpickler(io.BytesIO(path.read_bytes())).load()
        if type(table) is pd.DataFrame:
            _check_whole(table)
    except _RefusedError as refusal:
        raise ValueError(f"{path}: refused, {refusal}") from None
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror or error})") from None
    except Exception as error:  # whatever a damaged pickle leads to
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{path}: cut short, damaged, or no pandas pickle ({reason})") from None
    if type(table) is not pd.DataFrame:
        raise ValueError(f"{path}: holds no table but {type(table).__name__}")
    return table
