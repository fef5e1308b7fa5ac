"""The few collective operations of a loop that runs on one or several workers."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

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


def gradients_stay_here(model: nn.Module, stay: bool) -> AbstractContextManager[None]:
    """While it is open and `stay`, workers sum up their own gradients and do not exchange them."""
    return model.no_sync() if stay and isinstance(model, nn.parallel.DistributedDataParallel) else nullcontext()


def same_buffers(model: nn.Module, world_size: int) -> None:
    """Give every worker rank 0's running statistics, so that all evaluate the same model."""
    if world_size == 1:
        return
    with torch.no_grad():
        for buffer in model.buffers():
            dist.broadcast(buffer, src=0)
