"""What Ray Train sets up for a group of one worker: nothing.

A group of several needs a process group of torch. A single worker does not, and its Train controller, a process of
its own for each trial, then never imports torch: about a second of every trial. So this file imports neither torch
nor what imports it.
"""

from __future__ import annotations

from ray.train.backend import BackendConfig


class LoneWorker(BackendConfig):
    """Stands where a `TorchConfig` would."""

    backend = "none"
    """`TorchTrainer` wants a name; nothing reads it."""
