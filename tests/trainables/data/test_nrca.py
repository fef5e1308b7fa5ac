"""Import of the published files: everything arrives, the published splits come out exactly, bad files are named."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest

from trainables.data.catalog import load_dataset
from trainables.data.nrca import import_nrca
from trainables.data.sequence import Sequence, open_sequence
from trainables.data.sequence_config import SequenceDataConfig
from trainables.data.sequence_splits import split_sequence


@pytest.fixture(scope="module")
def sample(shared_data, tmp_path_factory) -> Sequence:
    folder = tmp_path_factory.mktemp("nrca") / "sample"
    import_nrca(shared_data / "nrca_format_sample", folder)
    return open_sequence(str(folder))


@pytest.mark.parametrize("method", ["temporal", "random"])
@pytest.mark.parametrize("num_classes", [2, 4, 8, 9])
def test_the_published_sets_come_out_exactly(sample, shared_data, num_classes, method):
    reference = json.loads((shared_data / "nrca_format_sample/published_splits.json").read_text())
    config = SequenceDataConfig(dataset="", num_classes=num_classes, protocol="published", split_method=method)
    splits = split_sequence(sample, config)
    for split, name in {"train": "train", "dev": "val", "test": "test"}.items():
        found = [
            [_hash(sample.waveforms_NXT[trace]), int(label)]
            for trace, label in zip(splits[split].trace_R, splits[split].label_R, strict=True)
        ]
        assert sorted(found) == reference[f"{num_classes}/{method}"][name]


def _hash(waveform_XT: np.ndarray) -> str:
    """Of the bytes in the order Z, N, E, as the reference was made."""
    return hashlib.sha1(np.ascontiguousarray(waveform_XT[::-1]).tobytes()).hexdigest()[:12]


def test_everything_arrives(published_tables, write_published, tmp_path):
    told = []
    source = write_published(tmp_path / "published", published_tables)
    import_nrca(source, tmp_path / "out", sampling_rate_hz=125, progress=lambda *numbers: told.append(numbers))
    sequence = open_sequence(str(tmp_path / "out"))
    assert told[-1] == (64, 64)
    assert list(sequence.metadata["sequence_part"].value_counts(sort=False)) == [30, 10, 24]
    assert (sequence.num_samples, sequence.sampling_rate_hz, sequence.is_synthetic) == (50, 125, False)
    pre = published_tables["pre"]
    assert sequence.metadata["trace_start_time"].iloc[:30].tolist() == pre["trace_start_time"].tolist()
    assert sequence.metadata["source_id"].iloc[:30].tolist() == pre["source_id"].tolist()
    expected_XT = np.stack([pre[f"{x}_channel"].iloc[7] for x in "ENZ"]).astype(np.float32)
    np.testing.assert_array_equal(sequence.waveforms_NXT[7], expected_XT)


def test_seisbench_reads_what_was_written(published_tables, write_published, tmp_path):
    import_nrca(write_published(tmp_path / "published", published_tables), tmp_path / "out")
    opened, sequence = load_dataset(str(tmp_path / "out")), open_sequence(str(tmp_path / "out"))
    for n in (0, 35, 63):
        np.testing.assert_array_equal(opened.get_waveforms(n), sequence.waveforms_NXT[n])


@pytest.mark.parametrize("part", ["pre", "visso", "post"])
def test_a_missing_file_is_named(part, published_tables, write_published, tmp_path):
    del published_tables[part]
    source = write_published(tmp_path / "published", published_tables)
    with pytest.raises(ValueError, match=f"no dataframe_{part}_NRCA.csv in it") as error:
        import_nrca(source, tmp_path / "out")
    assert ("--without-visso" in str(error.value)) == (part == "visso")
    assert not (tmp_path / "out").exists()


def test_without_visso_nine_classes_are_refused(published_tables, write_published, tmp_path):
    del published_tables["visso"]
    source = write_published(tmp_path / "published", published_tables)
    import_nrca(source, tmp_path / "out", without_visso=True)
    sequence = open_sequence(str(tmp_path / "out"))
    assert set(split_sequence(sequence, SequenceDataConfig(dataset="", num_classes=2))) == {"train", "dev", "test"}
    with pytest.raises(ValueError, match=r"num_classes=9.*Visso file"):
        split_sequence(sequence, SequenceDataConfig(dataset="", num_classes=9))


def _shorter(table):
    table.at[4, "N_channel"] = table.at[4, "N_channel"][:-1]


def _nan(table):
    table.at[4, "Z_channel"][20] = np.nan


def _words(table):
    table.at[4, "Z_channel"] = ["a"] * 50


def _too_large(table):
    table.at[4, "E_channel"][0] = 1e39  # no float32


@pytest.mark.parametrize(
    ("spoil", "part"),
    [
        (_shorter, r"N_channel of trace NRCA.IV.HH_2004 has 49 samples and the first trace has 50"),
        (_nan, r"Z_channel of trace NRCA.IV.HH_2004 has samples that are not finite"),
        (_too_large, r"E_channel of trace NRCA.IV.HH_2004 has samples that are not finite"),
        (_words, r"Z_channel of trace NRCA.IV.HH_2004 holds no numbers"),
        (lambda table: table.drop(columns="N_channel"), "no column N_channel"),
        (lambda table: table[:0], "holds no trace"),
        (lambda table: table.assign(source_id=0.5), "source_id must be an integer"),
        (lambda table: table.assign(trace_start_time="yesterday"), "trace_start_time must be a time"),
    ],
)
def test_a_bad_file_is_one_line_that_names_it(spoil, part, published_tables, write_published, tmp_path):
    table = published_tables["post"]
    spoiled = spoil(table)
    table = (table if spoiled is None else spoiled).astype({"trace_start_time": object})
    table.columns = table.columns.astype(object)
    published_tables["post"] = table
    source = write_published(tmp_path / "published", published_tables)
    with pytest.raises(ValueError, match=part) as error:
        import_nrca(source, tmp_path / "out")
    assert "dataframe_post_NRCA.csv" in str(error.value)
    assert not (tmp_path / "out").exists()


def test_files_of_different_lengths(published_tables, write_published, tmp_path):
    for component in "ENZ":
        channel = f"{component}_channel"
        published_tables["visso"][channel] = published_tables["visso"][channel].map(lambda trace_T: trace_T[:40])
    source = write_published(tmp_path / "published", published_tables)
    with pytest.raises(ValueError, match=r"differ in length: 50 in .*pre.*, 40 in .*visso.*, 50 in .*post"):
        import_nrca(source, tmp_path / "out")
