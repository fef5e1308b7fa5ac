"""Settings and metrics in words: every one that a sweep searches or is judged by reads as a person would say it."""

from __future__ import annotations

import re

import pytest
from seisweep.requested.trainable import Trainable
from seisweep.settings.fields import known_keys
from seisweep.settings.words import unit_of, words_apart, words_of

from search_spaces.named import NAMED, named_sweep
from search_spaces.narrowing import searched_keys


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("training.learning_rate", "learning rate"),
        ("training.batch_size", "batch size (windows)"),
        ("training.epochs", "epochs"),
        ("picks.tolerance_s", "tolerance (s)"),
        ("dev/f1", "F1 on dev, mean of P and S"),
        ("dev/p_f1", "P F1 on dev"),
        ("dev/macro_f1", "macro F1 on dev"),
        ("dev/class_0_f1", "class 0 F1 on dev"),
        ("dev/s_residual_mae_s", "S residual MAE on dev (s)"),
        ("int8/f1", "F1 of the INT8 file on dev"),
        ("dev/s_f1_at_0.3", "S F1 at 0.3 on dev"),
        ("dev/p_picks_on_s_share", "share of S arrivals picked as P, on dev"),
        ("int8/bytes", "size of the INT8 file (bytes)"),
        ("int8/latency_ms", "INT8 file: time of a window (ms)"),
        ("my_own.speed_km", "speed km"),
        ("my_score", "my score"),
    ],
)
def test_a_key_in_words(key, words):
    assert words_of(key) == words


@pytest.mark.parametrize("name", NAMED)
def test_what_sweeps_search_and_are_judged_by_reads_as_words(name):
    sweep = named_sweep(name)
    for key in [*searched_keys(sweep), *sweep.objectives]:
        assert re.search(r"[_./]", words_of(key)) is None, words_of(key)


@pytest.mark.parametrize("name", NAMED)
def test_no_two_settings_of_a_sweep_are_called_alike(name):
    config = Trainable.find(named_sweep(name).trainable).config_class
    assert config is not None
    words = words_apart(known_keys(config))
    assert len(set(words.values())) == len(words)


def test_what_is_called_alike_is_told_by_its_group():
    assert words_apart(["student.dropout", "training.learning_rate"]) == {
        "student.dropout": "dropout",
        "training.learning_rate": "learning rate",
    }
    assert words_apart(["student.dropout", "head.dropout"]) == {
        "student.dropout": "student: dropout",
        "head.dropout": "head: dropout",
    }


def test_a_unit_is_how_a_key_ends():
    assert unit_of("data.sigma_samples") == "samples"
    assert unit_of("training.batch_size") == ""
