"""Whatever the sequence: no event in two splits, dev and test that never move, nested fractions, equal classes."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from trainables.data.sequence import PARTS, Sequence
from trainables.data.sequence_classes import class_names, label_traces
from trainables.data.sequence_config import SequenceDataConfig
from trainables.data.sequence_splits import MIN_EVENTS, leaked_events, split_sequence

FRACTIONS = (0.05, 0.1, 0.2, 0.5, 1.0)


def make_sequence(seed: int, num_events: dict[str, int], max_traces: int = 1, shared: int = 0) -> Sequence:
    """Traces in random order; an event has up to `max_traces`, some days apart; `shared` ids occur in two parts."""
    rng = np.random.default_rng(seed)
    rows = []
    first_id = 0
    for part in PARTS:
        ids = np.repeat(
            np.arange(first_id, first_id + num_events[part]), rng.integers(1, max_traces + 1, num_events[part])
        )
        first_id += num_events[part] - min(shared, num_events[part])
        day = {"pre": 0, "visso": 58, "post": 70}[part] + rng.uniform(0, 9, first_id + num_events[part])
        time = pd.Timestamp("2016-08-24") + pd.to_timedelta(
            day[ids - ids.min()] + rng.uniform(0, 2, len(ids)), unit="D"
        )
        rows.append(
            pd.DataFrame(
                {
                    "source_id": ids,
                    "sequence_part": part,
                    "trace_start_time": time.strftime("%Y-%m-%dT%H:%M:%S.%fZ").astype(object),
                    "trace_sampling_rate_hz": 100.0,
                }
            ).sample(frac=1, random_state=int(rng.integers(1 << 31)))
        )
    metadata = pd.concat(rows, ignore_index=True)
    return Sequence(metadata, np.zeros((len(metadata), 3, 4), dtype=np.float32))


def config(**settings) -> SequenceDataConfig:
    return SequenceDataConfig(dataset="", **settings)


sequences = st.builds(
    make_sequence,
    seed=st.integers(0, 10**6),
    num_events=st.fixed_dictionaries(
        {"pre": st.integers(30, 240), "visso": st.integers(8, 60), "post": st.integers(30, 240)}
    ),
    max_traces=st.integers(1, 3),
    shared=st.integers(0, 5),
)
choices = {
    "num_classes": st.sampled_from([2, 4, 8, 9]),
    "split_method": st.sampled_from(["temporal", "random"]),
    "split_seed": st.integers(0, 2**32 - 1),
    "few_shot_seed": st.integers(0, 100),
}


@settings(max_examples=150, deadline=None)
@given(sequence=sequences, chosen=st.fixed_dictionaries(choices))
def test_fixed_protocol_of_any_sequence(sequence, chosen):
    events = sequence.metadata["source_id"].to_numpy()
    found = {}
    for fraction in FRACTIONS:
        with suppress(ValueError):  # too few events for the classes or the fraction
            found[fraction] = split_sequence(sequence, config(few_shot_fraction=fraction, **chosen))
    assume(1.0 in found)
    assert sorted(found) == sorted(FRACTIONS)[-len(found) :]
    full = found[1.0]
    smaller = None
    for fraction in sorted(found):
        splits = found[fraction]
        assert leaked_events(sequence, splits) == []
        for split in ("dev", "test"):
            assert splits[split].trace_R.tolist() == full[split].trace_R.tolist()
            assert splits[split].label_R.tolist() == full[split].label_R.tolist()
            assert len(splits[split])
        assert set(splits["train"].label_R) == set(range(chosen["num_classes"]))
        training = set(splits["train"].trace_R)
        assert smaller is None or smaller <= training
        kept_events = np.unique(events[splits["train"].trace_R])
        of_kept = np.isin(events[full["train"].trace_R], kept_events)
        assert training == set(full["train"].trace_R[of_kept])  # events go whole
        smaller = training


@settings(max_examples=60, deadline=None)
@given(sequence=sequences, num_classes=choices["num_classes"], seed=choices["split_seed"])
def test_classes_are_equal_and_in_the_order_of_time(sequence, num_classes, seed):
    trace_R, label_R = label_traces(sequence, num_classes, seed)
    sizes = np.bincount(label_R, minlength=num_classes)
    assert (sizes == sizes[0]).all()
    assert len(set(trace_R)) == len(trace_R)
    time_R = sequence.metadata["trace_start_time"].to_numpy()[trace_R]
    for label in range(num_classes - 1):
        assert max(time_R[label_R == label]) <= min(time_R[label_R == label + 1])


def test_with_one_trace_an_event_fixed_is_the_published_split():
    sequence = make_sequence(3, {"pre": 200, "visso": 50, "post": 230})
    for num_classes in (2, 4, 8, 9):
        for method in ("temporal", "random"):
            both = [
                split_sequence(sequence, config(num_classes=num_classes, split_method=method, protocol=protocol))
                for protocol in ("fixed", "published")
            ]
            for split in ("train", "dev", "test"):
                assert both[0][split].trace_R.tolist() == both[1][split].trace_R.tolist()


def test_temporal_splits_take_edges_and_middle():
    sequence = make_sequence(3, {"pre": 200, "visso": 50, "post": 200})
    splits = split_sequence(sequence, config(num_classes=2))
    times = {
        split: np.sort(sequence.metadata["trace_start_time"].to_numpy()[rows.trace_R[rows.label_R == 0]])
        for split, rows in splits.items()
    }
    assert [len(times[split]) for split in ("train", "dev", "test")] == [140, 20, 40]
    assert times["train"][69] < times["dev"][0] < times["dev"][-1] < times["test"][0]
    assert times["test"][-1] < times["train"][70]


def test_fractions_take_the_same_share_of_each_class():
    sequence = make_sequence(0, {"pre": 400, "visso": 100, "post": 400})
    sizes = {}
    for fraction in FRACTIONS:
        rows = split_sequence(sequence, config(few_shot_fraction=fraction))["train"]
        sizes[fraction] = np.bincount(rows.label_R).tolist()
    assert sizes == {0.05: [3] * 9, 0.1: [7] * 9, 0.2: [14] * 9, 0.5: [35] * 9, 1.0: [70] * 9}
    drawn = [split_sequence(sequence, config(few_shot_fraction=0.1, few_shot_seed=seed))["train"] for seed in (0, 1)]
    assert drawn[0].trace_R.tolist() != drawn[1].trace_R.tolist()


def test_published_fractions_move_dev_and_test():
    """The flaw that protocol fixed corrects; an exact copy must have it."""
    sequence = make_sequence(0, {"pre": 400, "visso": 100, "post": 400})
    full, few = (
        split_sequence(sequence, config(protocol="published", few_shot_fraction=fraction)) for fraction in (1, 0.1)
    )
    assert np.bincount(few["train"].label_R).tolist() == [6] * 9  # int(int(100 * 0.07) / 2) at both ends
    assert set(few["test"].trace_R) != set(full["test"].trace_R)
    assert set(few["dev"].trace_R) & set(full["train"].trace_R)


def test_a_leak_of_the_published_protocol_is_found():
    """Two traces of an event on both sides of a class boundary may go to different splits there."""
    sequence = make_sequence(1, {"pre": 120, "visso": 30, "post": 120}, max_traces=3)
    assert leaked_events(sequence, split_sequence(sequence, config(protocol="published", num_classes=8)))
    assert not leaked_events(sequence, split_sequence(sequence, config(num_classes=8)))


@pytest.mark.parametrize("protocol", ["fixed", "published"])
def test_a_fraction_that_leaves_a_class_empty_is_refused(protocol):
    sequence = make_sequence(0, {"pre": 100, "visso": 25, "post": 100})
    with pytest.raises(ValueError, match=r"few_shot_fraction=0.05: leaves class 0 \(pre 1\) without") as error:
        split_sequence(sequence, config(protocol=protocol, few_shot_fraction=0.05))
    if protocol == "fixed":
        assert "it has 16, so at least 0.0625 is needed" in str(error.value)
        assert split_sequence(sequence, config(few_shot_fraction=0.0625))


def test_too_few_events_are_refused():
    sequence = make_sequence(0, {"pre": 4 * MIN_EVENTS, "visso": MIN_EVENTS - 1, "post": 4 * MIN_EVENTS})
    with pytest.raises(ValueError, match=r"class 0 \(pre 1\) has 9 events .* at least 10"):
        split_sequence(sequence, config(num_classes=9))
    assert split_sequence(sequence, config(num_classes=8))


def test_names_of_classes():
    assert class_names(2) == ["pre", "post"]
    assert class_names(9)[3:6] == ["pre 4", "visso", "post 1"]
    assert [len(class_names(number)) for number in (2, 4, 8, 9)] == [2, 4, 8, 9]


@pytest.mark.parametrize("wrong", [1, 3, 5, 10])
def test_other_numbers_of_classes_are_refused(wrong):
    with pytest.raises(ValueError, match="2, 4, 8 or 9"):
        config(num_classes=wrong)
