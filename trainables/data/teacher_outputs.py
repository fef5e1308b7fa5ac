"""The teacher is asked once: its answers are kept on disk, for the trials that ask about the same windows.

Trials that share a seed draw the same windows. A window is known by the samples that the teacher hears of it, so that
nothing here depends on how windows are drawn, scaled or mixed, and none gets the answer for another.

Answers are computed in float32 and kept as differences of logits in float16: a softened softmax does not see a constant
added to all logits, and the differences take two numbers of PhaseNet's three. Against probabilities and logits in
float16 they move probabilities least, by 1e-4, and losses by 4e-4 of themselves at most. Whoever asks gets the rounded
answer, also who asks first, so that losses do not depend on who was there before.

Blocks of windows are files that appear whole (`atomic.py`): several processes may write, and one that is killed leaves
nothing that is read.
"""

# B window of a batch or block, C class or curve as it is kept, X component (E, N, Z), T time sample

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import shutil
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from trainables.atomic import whole_file

FORMAT = 1
"""Raised when what is kept, or how, changes: older files are then not read again, and removed as they age."""

FOLDER = "teacher_outputs"
BLOCK_WINDOWS = 256
LEAST_FREE_BYTES = 2 * 10**9
"""Of the disk: what checkpoints and records of the same home may need."""

_LARGEST = 6e4
"""float16 ends at 65504."""
_ENDING = ".answers"
_LOADED_BLOCKS = 4
_WAITING_BLOCKS = 2
_STEPS_OF_BUDGET = 32
"""The folder is measured each time that such a part of the budget was written."""
_FORGOTTEN_S = 3600.0
"""What a killed writer left is removed after this."""

logger = logging.getLogger("trainables.data")


class AskedOnce(nn.Module):
    """A teacher whose answers are kept. Logits that it returns are its own but for rounding and a constant."""

    def __init__(
        self,
        teacher: nn.Module,
        identity: Sequence[object],
        cache_dir: Path,
        budget_gb: float,
        *,
        heard_samples: int,
        is_distribution: bool,
    ) -> None:
        """`identity` says what decides about an answer besides the window: weights, and how they are asked.

        `heard_samples`: length of the windows that it is given; `is_distribution`: whether its classes share a
        probability of 1, else they are curves of their own.
        """
        super().__init__()
        self.teacher, self.is_distribution = teacher, is_distribution
        example_BCT = self._ask(torch.zeros(1, 3, heard_samples))
        facts = [FORMAT, *identity, heard_samples, is_distribution, *example_BCT.shape[1:]]
        name = hashlib.blake2b(repr(facts).encode(), digest_size=8).hexdigest()
        self.kept = KeptAnswers(cache_dir / FOLDER, name, example_BCT.shape[1:], round(1e9 * budget_gb))

    @torch.no_grad()
    def forward(self, heard_BXT: Tensor) -> Tensor:
        """Logits (B, C, T) of raw windows (B, X, T) in counts, float32; of a distribution the last class has 0."""
        key_B = window_keys(heard_BXT)
        answer_BCT = self.kept.read(key_B)
        if answer_BCT is None:
            answer_BCT = self._ask(heard_BXT)
            self.kept.keep(key_B, answer_BCT)
        logits_BCT = torch.from_numpy(answer_BCT).to(heard_BXT.device).float()
        return nn.functional.pad(logits_BCT, (0, 0, 0, 1)) if self.is_distribution else logits_BCT

    def close(self) -> None:
        """What is not written yet is."""
        self.kept.close()

    @torch.no_grad()
    def _ask(self, heard_BXT: Tensor) -> np.ndarray:
        with torch.autocast(heard_BXT.device.type, enabled=False):  # bfloat16 moves probabilities by up to 0.07
            logits_BCT = self.teacher(heard_BXT).float()
        if self.is_distribution:
            logits_BCT = logits_BCT[:, :-1] - logits_BCT[:, -1:]
        return logits_BCT.clamp(-_LARGEST, _LARGEST).half().cpu().numpy()


def window_keys(heard_BXT: Tensor) -> np.ndarray:
    """A number for each window (B), uint64: the bits of its samples times fixed random numbers, summed modulo 2^64.

    Two different windows get the same with a probability of 2^-64, a few bits more where all samples are small whole
    numbers (multilinear hashing, Carter and Wegman 1979, doi:10.1016/0022-0000(79)90044-8). A hundredth of a ms each.
    """
    bits_BN = heard_BXT.flatten(1).contiguous().view(torch.int32).long()
    return (bits_BN @ _factors(bits_BN.shape[1])).numpy().view(np.uint64)


@lru_cache(maxsize=2)
def _factors(count: int) -> Tensor:
    return torch.from_numpy(np.random.Generator(np.random.Philox(FORMAT)).integers(-(2**63), 2**63 - 1, count))


class KeptAnswers:
    """Answers by key: float16 (C, T) each, in files of many. All folders beside it share its budget.

    Where nothing can be written, one line says so and reading goes on. Written and measured in a thread.
    """

    def __init__(self, root: Path, name: str, shape: Sequence[int], budget_bytes: int) -> None:
        self.root, self.folder, self.shape, self.budget_bytes = root, root / name, tuple(shape), budget_bytes
        self._begun_ns = time.time_ns()
        self._place: dict[int, tuple[str, int]] = {}
        """Block and row of each key."""
        self._blocks: set[str] = set()
        self._seen_ns = 0
        """When the folder had last changed as it was looked at."""
        self._loaded: dict[str, np.ndarray] = {}
        self._pending: list[tuple[np.ndarray, np.ndarray]] = []
        self._writer = ThreadPoolExecutor(1, "teacher-outputs")
        self._writing: list[Future[None]] = []
        self._is_over = False
        """Nothing more is written."""
        self._unmeasured_bytes: int | None = None
        """Written since the folders were measured; None: never."""

    def read(self, key_B: np.ndarray) -> np.ndarray | None:
        """The answers (B, C, T) of these windows; None where one of them is not there."""
        keys = key_B.tolist()
        if not all(key in self._place for key in keys):
            self._look()
        try:
            return np.stack([self._row(*self._place[key]) for key in keys])
        except KeyError:
            return None
        except OSError:  # removed to make room, by this or another process
            self._place, self._blocks, self._seen_ns = {}, set(), 0
            return None

    def keep(self, key_B: np.ndarray, answer_BCT: np.ndarray) -> None:
        """Have them written, those that are not there yet, together with others."""
        if self._is_over:
            self._pending = []
            return
        self._pending.append((key_B, answer_BCT))
        if sum(len(keys) for keys, _ in self._pending) >= BLOCK_WINDOWS:
            self._hand_over(BLOCK_WINDOWS)

    def close(self) -> None:
        """Write what is left, and wait for it."""
        for block in self._writing:
            block.result()
        if self._pending and not self._is_over:
            self._hand_over(1)
        self._writer.shutdown(wait=True)
        self._is_over = True

    # Reading

    def _look(self) -> None:
        """Blocks that came since the folder was looked at last."""
        try:
            changed_ns = self.folder.stat().st_mtime_ns
            if changed_ns == self._seen_ns:
                return
            self._seen_ns = changed_ns
            names = [file.name for file in self.folder.iterdir() if file.name.endswith(_ENDING)]
        except OSError:
            return
        for name in names:
            if name not in self._blocks:
                self._blocks.add(name)
                with contextlib.suppress(OSError):
                    keys = np.fromfile(self.folder / name, np.uint64, self._num_rows(name))
                    self._place.update(zip(keys.tolist(), ((name, row) for row in range(len(keys))), strict=True))

    def _row(self, name: str, row: int) -> np.ndarray:
        if name not in self._loaded:
            file = self.folder / name
            answers = np.fromfile(file, np.float16, offset=8 * self._num_rows(name))
            with contextlib.suppress(OSError):
                os.utime(file)  # used now
            while len(self._loaded) >= _LOADED_BLOCKS:
                del self._loaded[next(iter(self._loaded))]
            self._loaded[name] = answers.reshape(-1, *self.shape)
        return self._loaded[name][row]

    def _num_rows(self, name: str) -> int:
        """Of a file that holds the keys of its rows, then the answers. Raises OSError where it is no such file."""
        rows, rest = divmod((self.folder / name).stat().st_size, 8 + 2 * int(np.prod(self.shape)))
        if rest:
            raise OSError(f"{name} is not whole")
        return rows

    # Writing

    def _hand_over(self, least: int) -> None:
        """To the thread, where at least so many are new: another trial may have written the rest meanwhile."""
        self._look()
        key_B, answer_BCT = (np.concatenate(column) for column in zip(*self._pending, strict=True))
        is_new_B = np.array([key not in self._place for key in key_B.tolist()])
        key_B, answer_BCT = key_B[is_new_B], answer_BCT[is_new_B]
        self._pending = [(key_B, answer_BCT)]
        if len(key_B) < least:
            return
        self._pending = []
        self._writing = [block for block in self._writing if not block.done() or block.result()]
        if len(self._writing) < _WAITING_BLOCKS:  # else the disk is slower than the teacher
            self._writing.append(self._writer.submit(self._write, key_B, answer_BCT))

    def _write(self, key_B: np.ndarray, answer_BCT: np.ndarray) -> None:
        size_bytes = key_B.nbytes + answer_BCT.nbytes
        name = hashlib.blake2b(key_B.tobytes(), digest_size=8).hexdigest() + _ENDING
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if self._is_over or not self._has_room(size_bytes):
                return
            with whole_file(self.folder / name) as arriving, arriving.open("wb") as file:
                file.write(key_B.tobytes())
                file.write(np.ascontiguousarray(answer_BCT).data)
        except OSError as error:
            self._end(f"cannot be written ({error.strerror or error})")

    def _has_room(self, size_bytes: int) -> bool:
        """On the disk and in the budget, where need be without what was not used for longest."""
        free_bytes = shutil.disk_usage(self.folder).free
        if free_bytes - size_bytes < LEAST_FREE_BYTES:
            self._end(f"its disk has {free_bytes / 1e9:.1f} GB free, {LEAST_FREE_BYTES / 1e9:g} are left to others")
            return False
        step_bytes = self.budget_bytes // _STEPS_OF_BUDGET
        if self._unmeasured_bytes is None or self._unmeasured_bytes + size_bytes > step_bytes:
            if self._make_room(size_bytes) > self.budget_bytes - size_bytes:
                self._end(f"teacher.outputs_gb={self.budget_bytes / 1e9:g} is full with outputs that trials are using")
                return False
            self._unmeasured_bytes = 0
        self._unmeasured_bytes += size_bytes
        return True

    def _make_room(self, size_bytes: int) -> int:
        """Remove blocks until the next step fits, the least recently used first, none that was used since this began:
        trials that read in the same order would else remove what they need next. Returns the bytes that are left."""
        found = []
        for file in self.root.glob("*/*"):
            with contextlib.suppress(OSError):  # gone meanwhile
                status = file.stat()
                if file.name.endswith(_ENDING):
                    found.append((status.st_mtime_ns, status.st_size, file))
                elif time.time() - status.st_mtime > _FORGOTTEN_S:
                    file.unlink()
        total_bytes = sum(size for _, size, _ in found)
        wanted_bytes = self.budget_bytes - max(size_bytes, self.budget_bytes // _STEPS_OF_BUDGET)
        for used_ns, size, file in sorted(found):
            if total_bytes <= wanted_bytes or used_ns >= self._begun_ns:
                break
            file.unlink(missing_ok=True)
            total_bytes -= size
        return total_bytes

    def _end(self, reason: str) -> None:
        self._is_over = True
        logger.warning(
            "the teacher's outputs are no longer kept in %s: %s; they are computed again", self.folder, reason
        )
