from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import find_peaks

from trainables.evaluation.event_scores import mistaken_of
from trainables.evaluation.picks import (
    FIELDS,
    THRESHOLDS,
    PickConfig,
    PickCounts,
    best_thresholds,
    count_picks,
    fields_of_windows,
    match_picks,
    residuals_s,
    scores,
)

CONFIG = PickConfig()
TIME_T = np.arange(3001)


def bump(sample: float, height: float, sigma: float = 20.0) -> np.ndarray:
    return height * np.exp(-((TIME_T - sample) ** 2) / (2 * sigma**2))


def window(p: np.ndarray, s: np.ndarray) -> np.ndarray:
    return np.stack([p, s, 1 - np.maximum(p, s)]).astype(np.float32)[None]


NOTHING = np.zeros(3001)
NO_ARRIVALS = {"P": np.empty(0), "S": np.empty(0)}


def arrivals(p: list[float] = (), s: list[float] = ()) -> list[dict[str, np.ndarray]]:
    return [{"P": np.array(p, dtype=float), "S": np.array(s, dtype=float)}]


def told_apart(arrivals_P: np.ndarray) -> list[np.ndarray]:
    """Arrivals in groups that begin at the earliest one left and reach up to the pick distance from it."""
    groups, left = [], np.sort(arrivals_P)
    while len(left):
        together = np.rint(left) - np.rint(left[0]) < CONFIG.distance_samples
        groups.append(left[together])
        left = left[~together]
    return groups


def counted_one_by_one(probability_T: np.ndarray, arrivals_P: np.ndarray, threshold: float) -> tuple[int, int, int]:
    """True, false and missed picks as the definition reads: peaks at this very threshold, the higher chooses first."""
    peaks, found = find_peaks(probability_T, height=threshold, distance=CONFIG.distance_samples)
    left = told_apart(arrivals_P)
    true = 0
    for sample in peaks[np.argsort(-found["peak_heights"], kind="stable")]:
        near = [group for group in left if np.abs(sample - group).min() <= 50]
        if near:
            taken = min(near, key=lambda group: np.abs(sample - group).min())
            left = [group for group in left if group is not taken]
            true += 1
    return true, len(peaks) - true, len(left)


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10_000), num_bumps=st.integers(0, 12), num_arrivals=st.integers(0, 4))
def test_one_matching_gives_what_each_threshold_gives_alone(seed, num_bumps, num_arrivals):
    rng = np.random.default_rng(seed)
    arrivals_P = rng.uniform(0, 3000, num_arrivals)
    centres = [*rng.uniform(0, 3000, num_bumps), *(arrivals_P + rng.normal(0, 30, num_arrivals))]
    probability_T = sum((bump(centre, rng.uniform(0, 1)) for centre in centres), NOTHING)
    probability_T = probability_T + rng.uniform(0, 0.02, 3001)
    # Scaled, not clipped: among peaks of exactly the same height scipy's own order is arbitrary.
    probability_T = (probability_T / max(1.0, probability_T.max())).astype(np.float32)
    counts = count_picks(window(probability_T, NOTHING), [NO_ARRIVALS | {"P": arrivals_P}], CONFIG)
    for column, threshold in enumerate(THRESHOLDS):
        expected = counted_one_by_one(probability_T, arrivals_P, threshold)
        assert tuple(counts.field("P", name)[column] for name in ("tp", "fp", "fn")) == expected


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000), num_arrivals=st.integers(0, 5))
def test_every_arrival_is_either_picked_or_missed(seed, num_arrivals):
    rng = np.random.default_rng(seed)
    truth = [{"P": rng.uniform(0, 3000, num_arrivals), "S": np.empty(0)}]
    counts = count_picks(rng.random((1, 3, 3001), dtype=np.float32), truth, CONFIG)
    assert (counts.field("P", "tp") + counts.field("P", "fn") == len(told_apart(truth[0]["P"]))).all()
    assert (counts.field("S", "tp") + counts.field("S", "fn") == 0).all()
    for name in ("tp", "fp"):
        assert (np.diff(counts.field("P", name)) <= 0).all()  # a higher threshold takes picks away


@pytest.mark.parametrize(("offset_samples", "true"), [(50, 1), (51, 0), (-50, 1), (-51, 0)])
def test_tolerance_is_half_a_second(offset_samples, true):
    picks = match_picks(bump(1000 + offset_samples, 0.9), np.array([1000.0]), CONFIG)
    assert np.isfinite(picks.residuals_s).sum() == true


def test_an_arrival_is_found_once():
    near_twice = bump(960, 0.6, 10) + bump(1040, 0.9, 10)
    picks = match_picks(near_twice, np.array([1000.0]), PickConfig(distance_samples=10))
    assert picks.samples.tolist() == [1040, 960]
    assert picks.residuals_s[0] == pytest.approx(0.4)
    assert np.isnan(picks.residuals_s[1])


def test_a_pick_takes_the_nearest_arrival_that_is_left():
    picks = match_picks(bump(1000, 0.9), np.array([970.0, 1010.0]), CONFIG)
    assert picks.residuals_s.tolist() == [pytest.approx(-0.1)]


def test_a_late_pick_has_a_positive_residual():
    result = scores(count_picks(window(bump(1010, 0.9), bump(2000, 0.9)), arrivals([1000], [2020]), CONFIG))
    assert result["dev/p_residual_mean_s"] == pytest.approx(0.1)
    assert result["dev/s_residual_mean_s"] == pytest.approx(-0.2)
    assert result["dev/s_residual_mae_s"] == pytest.approx(0.2)


def test_scores_of_a_small_case_by_hand():
    p = bump(500, 0.8) + bump(1500, 0.6) + bump(2500, 0.3)  # true at 500 and 1500, false at 2500
    counts = count_picks(window(p, bump(1000, 0.7)), arrivals([510, 1480, 200], [1000]), CONFIG)
    result = scores(counts, {"P": 0.25, "S": 0.5})
    assert result["dev/p_precision"] == pytest.approx(2 / 3)
    assert result["dev/p_recall"] == pytest.approx(2 / 3)
    assert result["dev/p_f1"] == pytest.approx(2 / 3)
    assert result["dev/s_f1"] == 1
    assert result["dev/f1"] == pytest.approx((2 / 3 + 1) / 2)
    assert result["dev/p_residual_mean_s"] == pytest.approx((-0.1 + 0.2) / 2)
    assert result["dev/p_residual_mae_s"] == pytest.approx(0.15)
    assert result["dev/p_residual_std_s"] == pytest.approx(0.15)
    assert result["dev/false_picks_per_hour"] == pytest.approx(3600 / 30.01)
    assert scores(counts, {"P": 0.5, "S": 0.5})["dev/p_precision"] == 1


def test_false_picks_of_noise_windows_count():
    counts = count_picks(window(bump(500, 0.8), bump(900, 0.8)), [NO_ARRIVALS], CONFIG)
    counts += count_picks(window(NOTHING, NOTHING), [NO_ARRIVALS], CONFIG)
    result = scores(counts, {"P": 0.5, "S": 0.5}, split="test")
    assert result["test/false_picks_per_hour"] == pytest.approx(2 * 3600 / (2 * 30.01))
    assert result["test/f1"] == 0
    assert "test/p_residual_mean_s" not in result


def test_counts_of_parts_add_up_to_counts_of_the_whole():
    rng = np.random.default_rng(0)
    probabilities_BCT = rng.random((6, 3, 3001), dtype=np.float32)
    truth = [{"P": rng.uniform(0, 3000, 2), "S": rng.uniform(0, 3000, 1)} for _ in range(6)]
    whole = count_picks(probabilities_BCT, truth, CONFIG)
    parts = PickCounts.zeros()
    for start, stop in ((0, 1), (1, 4), (4, 6)):
        parts += count_picks(probabilities_BCT[start:stop], truth[start:stop], CONFIG)
    torch.testing.assert_close(parts.tensor, whole.tensor)
    assert whole.tensor.shape == (2, 19, len(FIELDS))
    assert whole.tensor.dtype == torch.float64


def test_tensors_count_like_arrays():
    probabilities_BCT = window(bump(500, 0.8), bump(900, 0.6))
    from_array = count_picks(probabilities_BCT, arrivals([500], [900]), CONFIG)
    from_tensor = count_picks(torch.from_numpy(probabilities_BCT).requires_grad_(), arrivals([500], [900]), CONFIG)
    assert torch.equal(from_array.tensor, from_tensor.tensor)


def test_best_threshold_is_where_f1_is_best_and_the_middle_of_a_plateau():
    p = bump(500, 0.72) + bump(1500, 0.41)  # true above 0.41 alone
    counts = count_picks(window(p, NOTHING), arrivals([500]), CONFIG)
    assert best_thresholds(counts) == {"P": 0.6, "S": 0.5}  # 0.45 ... 0.70; nothing at all: 0.05 ... 0.95
    assert scores(counts)["dev/p_threshold"] == 0.6


def test_low_probabilities_are_scored_too():
    """With alpha 0.5 and temperature 3 the S probabilities of a good student can stay below 0.3."""
    counts = count_picks(window(bump(500, 0.9), bump(900, 0.22)), arrivals([500], [900]), CONFIG)
    assert scores(counts)["dev/f1"] == 1
    assert scores(counts, {"P": 0.5, "S": 0.3})["dev/s_f1"] == 0


def test_a_threshold_that_was_not_counted_is_an_error():
    with pytest.raises(ValueError, match=r"threshold 0.33: counted are 0.05 to 0.95 in steps of 0.05"):
        scores(PickCounts.zeros(), {"P": 0.33, "S": 0.5})


def test_residuals_are_those_of_true_picks_above_the_threshold():
    p = bump(510, 0.8) + bump(1490, 0.4) + bump(2500, 0.9)
    found = residuals_s(window(p, NOTHING), arrivals([500, 1500]), {"P": 0.5, "S": 0.5}, CONFIG)
    np.testing.assert_allclose(found["P"], [0.1])
    assert len(found["S"]) == 0


def test_counting_at_a_models_own_thresholds_is_counting_at_those_alone():
    """Stored thresholds need not be among those that dev tries: SeisBench's weights have 0.39, and lower than 0.05."""
    p = bump(500, 0.72) + bump(1500, 0.37) + bump(2500, 0.03)
    counts = count_picks(window(p, NOTHING), arrivals([500, 1500, 2500]), CONFIG, (0.02, 0.37, 0.39))
    for threshold, expected in ((0.02, 3), (0.37, 2), (0.39, 1)):
        found = scores(counts, {"P": threshold, "S": 0.39})
        assert found["dev/p_threshold"] == threshold
        assert found["dev/p_recall"] == pytest.approx(expected / 3)
    with pytest.raises(ValueError, match=r"threshold 0.5: counted are 0.02, 0.37, 0.39"):
        scores(counts, {"P": 0.5, "S": 0.39})


@pytest.mark.parametrize("seed", range(5))
def test_peaks_of_equal_height_are_counted_alike_at_a_threshold_alone_and_among_others(seed):
    """INT8 probabilities have few levels, and which of two equal peaks stays hangs on all that were found."""
    rng = np.random.default_rng(seed)
    probabilities = (rng.integers(0, 8, (4, 3, 3001)) / 20).astype(np.float32)
    at = [{"P": rng.uniform(0, 3000, 5), "S": rng.uniform(0, 3000, 5)} for _ in range(4)]
    among = count_picks(probabilities, at, CONFIG)
    alone = count_picks(probabilities, at, CONFIG, (0.1, 0.25))
    thresholds = {"P": 0.1, "S": 0.25}
    both = scores(among, thresholds)
    assert scores(alone, thresholds) == pytest.approx({k: v for k, v in both.items() if not k.endswith("f1_at_0.3")})


# Arrivals that the peak rule cannot tell apart.


def perfect(arrivals: np.ndarray) -> np.ndarray:
    """Probabilities (1, C, T) of a picker that knows the truth: a narrow peak of height 1 on each arrival."""
    sample_T = np.arange(3001)
    p_T = np.exp(-0.5 * ((sample_T[:, None] - arrivals) / 10) ** 2).max(axis=1, initial=0)
    return np.stack([p_T, 0 * p_T, 1 - p_T])[None]


@pytest.mark.parametrize("apart", [1, 40, 80, 99, 100, 101, 300])
def test_a_perfect_picker_scores_1_however_close_two_arrivals_are(apart):
    arrivals = np.array([1000.0, 1000.0 + apart])
    counts = count_picks(perfect(arrivals), [{"P": arrivals, "S": np.empty(0)}], PickConfig())
    assert counts.f1("P")[10] == 1.0
    assert counts.field("P", "tp")[10] == (2 if apart >= 100 else 1)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(100, 2900), max_size=12, unique=True))
def test_a_perfect_picker_scores_1_on_any_arrivals(samples):
    arrivals = np.sort(np.array(samples, dtype=float))
    truth = [{"P": arrivals, "S": np.empty(0)}]
    counts = count_picks(perfect(arrivals), truth, PickConfig())
    missed, false = (counts.field("P", name)[5] for name in ("fn", "fp"))
    assert missed == 0
    assert false == 0
    one_by_one = fields_of_windows(perfect(arrivals), truth, {"P": 0.3, "S": 0.3}, PickConfig())[..., :3]
    assert one_by_one[0, 0].tolist() == [counts.field("P", "tp")[5], 0, 0]


def test_either_of_two_close_arrivals_is_found_and_the_residual_is_to_the_nearer():
    arrivals = np.array([1000.0, 1080.0])
    late = match_picks(perfect(np.array([1085.0]))[0, 0], arrivals, PickConfig())
    early = match_picks(perfect(np.array([998.0]))[0, 0], arrivals, PickConfig())
    assert late.residuals_s.tolist() == [pytest.approx(0.05)]
    assert early.residuals_s.tolist() == [pytest.approx(-0.02)]


# Phases that nobody looked for.


def test_records_without_s_labels_do_not_lower_its_precision():
    picked = window(bump(500, 0.9), bump(900, 0.9))
    labelled = count_picks(picked, [{"P": np.array([500.0]), "S": np.array([900.0])}], CONFIG)
    both = labelled + count_picks(picked, [{"P": np.array([500.0]), "S": None}], CONFIG)
    alone, together = (scores(counts, {"P": 0.5, "S": 0.5}) for counts in (labelled, both))
    assert together["dev/s_precision"] == alone["dev/s_precision"] == 1
    assert together["dev/s_recall"] == 1
    assert together["dev/f1"] == 1
    one_by_one = fields_of_windows(picked, [{"P": np.array([500.0]), "S": None}], {"P": 0.5, "S": 0.5}, CONFIG)[..., :3]
    assert one_by_one[0].tolist() == [[1, 0, 0], [0, 0, 0]]


def test_false_picks_per_hour_are_of_the_hours_in_which_a_phase_was_looked_for():
    false_s = window(NOTHING, bump(900, 0.9))
    counts = count_picks(false_s, [NO_ARRIVALS], CONFIG)
    counts += count_picks(window(NOTHING, NOTHING), [{"P": np.empty(0), "S": None}], CONFIG)
    assert scores(counts, {"P": 0.5, "S": 0.5})["dev/false_picks_per_hour"] == pytest.approx(3600 / 30.01)


def test_a_phase_that_was_looked_for_nowhere_has_no_scores():
    counts = count_picks(window(bump(500, 0.9), bump(900, 0.9)), [{"P": np.array([500.0]), "S": None}], CONFIG)
    result = scores(counts)
    assert result["dev/f1"] == result["dev/p_f1"] == 1
    assert "dev/s_threshold" in result
    assert not [name for name in result if name.startswith("dev/s_") and name != "dev/s_threshold"]


# P taken for S, and the reverse.


def test_an_s_pick_on_a_p_arrival_is_a_share_of_p_arrivals():
    s = bump(510, 0.8) + bump(1200, 0.6) + bump(2000, 0.7)  # on P, on S, on nothing
    counts = count_picks(window(bump(1500, 0.9), s), arrivals([500, 1500], [1210]), CONFIG)
    result = scores(counts, {"P": 0.5, "S": 0.5})
    assert result["dev/s_picks_on_p_share"] == 0.5
    assert result["dev/p_picks_on_s_share"] == 0
    assert result["dev/s_precision"] == pytest.approx(1 / 3)
    assert scores(counts, {"P": 0.5, "S": 0.85})["dev/s_picks_on_p_share"] == 0


def test_a_p_pick_on_an_s_arrival_is_a_share_of_s_arrivals():
    counts = count_picks(window(bump(500, 0.9) + bump(1180, 0.9), NOTHING), arrivals([500], [1200]), CONFIG)
    result = scores(counts, {"P": 0.5, "S": 0.5})
    assert result["dev/p_picks_on_s_share"] == 1
    assert result["dev/s_picks_on_p_share"] == 0


def test_a_true_pick_is_no_mistake_however_close_the_other_phase_is():
    counts = count_picks(window(bump(1000, 0.9), bump(1030, 0.9)), arrivals([1000], [1030]), CONFIG)
    result = scores(counts, {"P": 0.5, "S": 0.5})
    assert result["dev/p_picks_on_s_share"] == result["dev/s_picks_on_p_share"] == 0
    assert result["dev/f1"] == 1


def test_an_arrival_is_mistaken_once():
    near_twice = bump(960, 0.6, 10) + bump(1040, 0.9, 10)
    close = PickConfig(distance_samples=10)
    counts = count_picks(window(NOTHING, near_twice), arrivals([1000, 2000]), close)
    assert scores(counts, {"P": 0.5, "S": 0.5})["dev/s_picks_on_p_share"] == 0.5


def test_where_one_phase_was_not_looked_for_nothing_is_mistaken():
    s_on_p = window(NOTHING, bump(500, 0.8))
    masked = count_picks(s_on_p, [{"P": np.array([500.0]), "S": None}], CONFIG)
    assert not [name for name in scores(masked) if "picks_on" in name]
    both = masked + count_picks(window(NOTHING, NOTHING), arrivals([500], [900]), CONFIG)
    assert scores(both, {"P": 0.5, "S": 0.5})["dev/s_picks_on_p_share"] == 0


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000))
def test_mistakes_by_window_are_those_of_all_thresholds(seed):
    rng = np.random.default_rng(seed)
    probabilities_BCT = rng.random((4, 3, 3001), dtype=np.float32)
    truth = [{"P": rng.uniform(0, 3000, 4), "S": rng.uniform(0, 3000, 4) if window else None} for window in range(4)]
    by_window_BPF = mistaken_of(fields_of_windows(probabilities_BCT, truth, {"P": 0.95, "S": 0.95}, CONFIG))
    counts = count_picks(probabilities_BCT, truth, CONFIG)
    for row, phase in enumerate(("P", "S")):
        mistaken, others = (counts.field(phase, name)[-1] for name in ("mistaken", "others"))
        assert by_window_BPF[:, row].sum(axis=0).tolist() == [mistaken, others - mistaken]
        assert mistaken <= counts.field(phase, "fp")[-1]
