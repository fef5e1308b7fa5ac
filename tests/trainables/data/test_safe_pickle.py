"""A table is read; whatever else a pickle names is refused by name, and nothing of it runs."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from trainables.data.safe_pickle import read_table


class Runs:
    """Calls a function when it is unpickled."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


def test_a_table_comes_back(published_tables, tmp_path):
    for part, table in published_tables.items():
        table.to_pickle(tmp_path / part, compression=None)
        pd.testing.assert_frame_equal(read_table(tmp_path / part), table)


def test_files_of_an_old_pandas(shared_data):
    for part, count in {"pre": 70, "visso": 18, "post": 90}.items():
        table = read_table(shared_data / "nrca_format_sample" / f"dataframe_{part}_NRCA.csv")
        assert len(table) == count
        assert table["E_channel"].map(len).eq(600).all()
        assert isinstance(table["label"].iloc[0], list)


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
@pytest.mark.parametrize(("function", "name"), [(os.mkdir, f"{os.name}.mkdir"), (eval, "builtins.eval")])
def test_code_is_refused_by_name_and_does_not_run(function, name, protocol, tmp_path):
    made = tmp_path / "made"
    argument = str(made) if function is os.mkdir else f"__import__('os').mkdir({str(made)!r})"
    file = tmp_path / "bad.pkl"
    file.write_bytes(pickle.dumps([Runs(function, argument)], protocol=protocol).replace(b"__builtin__", b"builtins"))
    with pytest.raises(ValueError, match=f"refused, it names {name}"):
        read_table(file)
    assert not made.exists()


def test_code_inside_a_table_is_refused(published_tables, tmp_path):
    table = published_tables["pre"]
    table.loc[3, "label"] = Runs(os.mkdir, str(tmp_path / "made"))
    table.to_pickle(tmp_path / "bad.pkl", compression=None)
    with pytest.raises(ValueError, match=r"mkdir"):
        read_table(tmp_path / "bad.pkl")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("module", "name"), [("pandas", "read_pickle"), ("pandas.core.frame", "DataFrame.eval"), ("numpy", "load")]
)
def test_other_functions_of_the_same_libraries_are_refused(module, name, tmp_path):
    words = b"".join(b"\x8c" + bytes([len(word)]) + word.encode() for word in (module, name))
    (tmp_path / "bad.pkl").write_bytes(b"\x80\x04" + words + b"\x93.")
    with pytest.raises(ValueError, match=f"refused, it names {module}.{name}"):
        read_table(tmp_path / "bad.pkl")


def test_attributes_of_a_library_are_not_set(tmp_path):
    """BUILD on a class, with slot state, would set the class's attributes for the whole process."""
    head = b"\x80\x04\x8c\x19pandas.core.indexes.range\x8c\x0aRangeIndex\x93"
    state = pickle.dumps((None, {"poisoned": 1}), protocol=4)[2:-1]
    state = state[9:] if state[:1] == b"\x95" else state
    (tmp_path / "bad.pkl").write_bytes(head + state + b"b.")
    with pytest.raises(ValueError, match="it sets attributes of RangeIndex"):
        read_table(tmp_path / "bad.pkl")
    assert not hasattr(pd.RangeIndex, "poisoned")


def test_records_and_foreign_byte_orders_are_refused(tmp_path):
    pd.DataFrame({0: [np.zeros(3, dtype=">f8")]}).to_pickle(tmp_path / "bad.pkl", compression=None)
    with pytest.raises(ValueError, match="number format"):
        read_table(tmp_path / "bad.pkl")
    pd.DataFrame({0: [np.zeros(3, dtype=[("a", "f8")])]}).to_pickle(tmp_path / "bad.pkl", compression=None)
    with pytest.raises(ValueError, match="refused"):
        read_table(tmp_path / "bad.pkl")


@pytest.mark.parametrize("keep", [0, 10, 0.5, 0.99])
def test_a_short_file_is_one_line(keep, published_tables, tmp_path):
    published_tables["pre"].to_pickle(tmp_path / "short", compression=None)
    whole = (tmp_path / "short").read_bytes()
    (tmp_path / "short").write_bytes(whole[: keep if keep in (0, 10) else int(keep * len(whole))])
    with pytest.raises(ValueError, match="cut short, damaged, or no pandas pickle") as error:
        read_table(tmp_path / "short")
    assert "\n" not in str(error.value)


def test_what_is_no_table(tmp_path):
    Path(tmp_path / "words.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="no pandas pickle"):
        read_table(tmp_path / "words.csv")
    (tmp_path / "list").write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(ValueError, match="holds no table but list"):
        read_table(tmp_path / "list")
    with pytest.raises(ValueError, match="cannot be read"):
        read_table(tmp_path / "absent")


TABLE, MANAGER = b"cpandas.core.frame\nDataFrame\n", b"cpandas.core.internals.managers\nBlockManager\n"
BARE = b")\x81"  # called without anything, and never given its state


@pytest.mark.parametrize(
    "content",
    [TABLE + BARE, TABLE + BARE + b"}b", TABLE + BARE + b"}\x8c\x04_mgr" + MANAGER + BARE + b"sb"],
    ids=["bare", "empty state", "manager without blocks"],
)
def test_a_table_without_data_is_one_clear_error(content, tmp_path):
    (tmp_path / "bare").write_bytes(b"\x80\x04" + content + b".")
    with pytest.raises(ValueError, match=r"bare: (refused, the table in it has no data|cut short, damaged)") as error:
        read_table(tmp_path / "bare")
    assert "recursion" not in str(error.value)


def test_a_table_within_a_table_is_refused(published_tables, tmp_path):
    table = published_tables["pre"]
    labels = list(table["label"])
    labels[3] = pd.DataFrame({"a": [1]})
    table["label"] = pd.Series(labels, dtype=object)
    table.to_pickle(tmp_path / "a.pkl", compression=None)
    with pytest.raises(ValueError, match="refused, it holds a table within a table"):
        read_table(tmp_path / "a.pkl")
