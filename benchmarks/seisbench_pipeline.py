"""SeisBench's own generator with the prescribed augmentations: what the benchmarks compare with."""

from __future__ import annotations

import seisbench.generate as sbg

from trainables.data.catalog import PICK_COLUMNS, load_dataset
from trainables.data.windows import SAMPLES_BEFORE, SPAN_SAMPLES


def prescribed_generator(dataset: str, split: str = "train") -> sbg.GenericGenerator:
    """Samples with keys `raw`, `X` (normalised) and `y` (labels P, S, noise), waveforms held in memory."""
    traces = load_dataset(dataset).get_split(split)
    traces.cache, traces.metadata_cache = "full", True
    traces.preload_waveforms()
    generator = sbg.GenericGenerator(traces)
    generator.add_augmentations(
        [
            sbg.WindowAroundSample(
                list(PICK_COLUMNS),
                samples_before=SAMPLES_BEFORE,
                windowlen=SPAN_SAMPLES,
                selection="random",
                strategy="variable",
            ),
            sbg.RandomWindow(windowlen=3001, strategy="pad"),
            sbg.ChangeDtype("float32", key=("X", "raw")),
            sbg.Normalize(demean_axis=-1, detrend_axis=-1, amp_norm_axis=-1, amp_norm_type="peak"),
            sbg.ChangeDtype("float32"),
            sbg.ProbabilisticLabeller(label_columns=PICK_COLUMNS, sigma=30, dim=0),
            sbg.ChangeDtype("float32", key="y"),
        ]
    )
    return generator
