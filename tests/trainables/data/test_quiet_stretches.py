"""Noise is taken from where nobody has seen anything, and from the training split alone."""

# B window of a batch, X component (E, N, Z), T time sample

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from trainables.data.config import DataConfig
from trainables.data.quiet_stretches import QuietStretches
from trainables.data.streams import StreamStore
from trainables.data.windowing import Windowing
from trainables.data.windows import WindowStore, open_store
from trainables.training.picker import check_data

TRACES = {
    "P after 20 s": {"trace_P_arrival_sample": 2000, "trace_S_arrival_sample": 2500},
    "P after 3 s": {"trace_P_arrival_sample": 300, "trace_S_arrival_sample": 800},
    "S alone": {"trace_S_arrival_sample": 2500},
    "S before P": {"trace_P_arrival_sample": 2500, "trace_S_arrival_sample": 2000},
    "noise": {},
}


def written(folder: Path, write_dataset: Callable[..., Path], names: list[str]) -> DataConfig:
    """Each trace is a ramp from 10,000 times its number on; those of dev and test are as the last one."""
    rows = [(name, "train") for name in names] + [(names[0], "dev"), (names[0], "test")]
    traces = [
        (np.arange(5000.0) + 1e4 * number + np.zeros((3, 1)), {"split": split, **TRACES[name]})
        for number, (name, split) in enumerate(rows)
    ]
    write_dataset(folder / "data", traces)
    return DataConfig(dataset=str(folder / "data"), cache_dir=folder / "stores", noise_share=0.5)


def test_it_lies_before_a_p_arrival_and_in_traces_without_picks(tmp_path, write_dataset):
    config = written(tmp_path, write_dataset, list(TRACES))
    quiet = QuietStretches.of([open_store(config, "train", windowing=Windowing(1000))])
    uniform_BU = np.random.default_rng(0).random((300, 2))
    noise_BXT = quiet.drawn(uniform_BU)
    trace_BT, sample_BT = np.divmod(noise_BXT[:, 0], 1e4)
    assert (trace_BT == trace_BT[:, :1]).all()
    assert set(trace_BT[:, 0]) == {0, 4}
    assert sample_BT[trace_BT == 0].max() < 1900
    assert sample_BT[trace_BT == 0].max() > 1700
    assert (np.diff(sample_BT[trace_BT[:, 0] == 4], axis=1) == 1).all()


def test_a_short_stretch_goes_on_mirrored(tmp_path, write_dataset):
    config = written(tmp_path, write_dataset, ["P after 20 s"])
    quiet = QuietStretches.of([open_store(config, "train", windowing=Windowing(3001, around=500))])
    noise_BXT = quiet.drawn(np.random.default_rng(0).random((20, 2)))
    assert noise_BXT.shape == (20, 3, 4001)
    assert noise_BXT.max() < 1900
    assert np.abs(np.diff(noise_BXT, axis=2)).max() == 1


def test_nothing_to_take_is_said_before_work_begins(tmp_path, write_dataset):
    config = written(tmp_path, write_dataset, ["P after 3 s", "S before P"])
    with pytest.raises(ValueError, match=r"^data.noise_share: the training split has no noise to add"):
        QuietStretches.of([open_store(config, "train")])
    config = written(tmp_path / "other", write_dataset, ["P after 3 s"])
    with pytest.raises(ValueError, match=r"^data.noise_share: .* at least 5 s in a row: set it to 0$"):
        check_data(config)
    check_data(config.model_copy(update={"noise_share": 0.0}))


def test_other_splits_are_not_read(tmp_path, write_dataset):
    config = written(tmp_path, write_dataset, ["P after 20 s", "noise"])
    with pytest.raises(AssertionError, match="from what trains"):
        QuietStretches.of([open_store(config, "dev")])


def test_in_streams_it_lies_between_the_teachers_picks_and_inside_the_spans():
    sample_T = np.arange(30_000, dtype=np.float32)
    columns = dict.fromkeys(StreamStore.__dataclass_fields__)
    columns |= {
        "split": "train",
        "samples": np.concatenate([sample_T] * 3),
        "offset_N": np.array([0]),
        "length_N": np.array([30_000]),
        "first_pick_N": np.array([0, 2]),
        "pick_K": np.array([10_000.0, 10_400.0]),
        "span_low_W": np.array([2000, 25_000]),
        "span_high_W": np.array([20_000, 25_100]),
        "span_trace_W": np.array([0, 0]),
        "windowing": Windowing(1000),
    }
    quiet = QuietStretches.of([StreamStore(**columns)])
    assert quiet.low_W.tolist() == [2000, 16_400]
    assert quiet.high_W.tolist() == [9900, 20_000]
    noise_BXT = quiet.drawn(np.random.default_rng(0).random((400, 2)))
    is_before_B = noise_BXT[:, 0, 0] < 9900
    assert is_before_B.mean() == pytest.approx(7 / 10, abs=0.08)
    assert noise_BXT[is_before_B].max() < 9900
    assert noise_BXT[~is_before_B].min() >= 16_400
    assert isinstance(quiet.stores[0], WindowStore)
