"""SeisBench's own generator with the prescribed augmentations: what the benchmarks compare with."""

from __future__ import annotations

import numpy as np
import seisbench.data as sbd
import seisbench.generate as sbg

from trainables.data.arrivals import PICK_COLUMNS
from trainables.data.catalog import dataset_folder, quiet_seisbench
from trainables.data.config import COMPONENT_ORDER, SAMPLING_RATE_HZ, WINDOW_SAMPLES
from trainables.data.windowing import PRESCRIBED


def prescribed_generator(dataset: str, metadata_cache: bool, keep_raw: bool = False) -> sbg.GenericGenerator:
    """Training samples with keys `X` (normalised) and `y` (labels P, S, noise), waveforms held in memory.

    `keep_raw` adds `raw`, the window in counts, which a teacher needs.
    """
    with quiet_seisbench():
        traces = sbd.WaveformDataset(
            dataset_folder(dataset),
            component_order=COMPONENT_ORDER,
            sampling_rate=SAMPLING_RATE_HZ,
            cache="full",
            metadata_cache=metadata_cache,
        ).train()
        traces.preload_waveforms()
    columns = {column: phase for column, phase in PICK_COLUMNS.items() if column in traces.metadata}
    around = {"samples_before": PRESCRIBED.samples_before, "windowlen": PRESCRIBED.span_samples}
    augmentations = [
        sbg.WindowAroundSample(list(columns), **around, selection="random", strategy="variable"),
        sbg.RandomWindow(windowlen=WINDOW_SAMPLES, strategy="pad"),
        sbg.Normalize(demean_axis=-1, detrend_axis=-1, amp_norm_axis=-1, amp_norm_type="peak"),
        sbg.ChangeDtype(np.float32),
        sbg.ProbabilisticLabeller(label_columns=columns, model_labels="PSN", sigma=30, dim=0),
    ]
    if keep_raw:
        augmentations.insert(2, sbg.ChangeDtype(np.float32, key=("X", "raw")))
    generator = sbg.GenericGenerator(traces)
    generator.add_augmentations(augmentations)
    return generator
