"""The few collective operations of a loop that runs on one or several workers."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor, nn


def sum_over_workers(values: Tensor, world_size: int) -> Tensor:
    """Sum of `values` over all workers; `values` itself on one worker. Counts are summed, never averaged scores."""
    if world_size == 1:
        return values
    total = values.clone()
    dist.all_reduce(total)
    return total


def same_buffers(model: nn.Module, world_size: int) -> None:
    """Give every worker rank 0's running statistics, so that all evaluate the same model."""
    if world_size == 1:
        return
    with torch.no_grad():
        for buffer in model.buffers():
            dist.broadcast(buffer, src=0)
