"""What a network wants of the data: how long its windows are, and what else it looks at."""

from __future__ import annotations

from dataclasses import dataclass

from trainables.data.config import WINDOW_SAMPLES


@dataclass(frozen=True)
class Windowing:
    """Windows of `samples`, and what comes with them."""

    samples: int = WINDOW_SAMPLES
    around: int = 0
    """More samples on either side of each window, for a teacher who listens longer than its student."""
    detection: bool = False
    """Whether batches have the label of a detection curve."""
    whole: bool = False
    """Windows lie anywhere in a trace where it is alive, whatever is picked in it: of pretraining."""

    @property
    def samples_before(self) -> int:
        """WindowAroundSample's setting: where the samples begin from which a window is drawn. 3000 before a pick for
        windows of 3001, so that the pick may lie anywhere in the window."""
        return self.samples - 1

    @property
    def span_samples(self) -> int:
        """How many samples those are: 6000 for windows of 3001."""
        return 2 * (self.samples - 1)


PRESCRIBED = Windowing()
"""Of PhaseNet and XiaoNet: 3001 samples."""
