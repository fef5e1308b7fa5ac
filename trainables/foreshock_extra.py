"""The extra `foreshock`: packages of pretraining and finetuning that are installed only where they are asked for."""

from __future__ import annotations

import importlib.util

PACKAGES = ("xlstm", "mlstm_kernels")


def require_foreshock() -> None:
    """Does nothing where the packages are installed. Raises ValueError that says how to install them, and their
    licence; imports nothing.

    A Transformer needs them too: it has as many parameters as an xLSTM U-Net of the same settings, which is built to
    count them.
    """
    missing = [package for package in PACKAGES if importlib.util.find_spec(package) is None]
    if missing:
        raise ValueError(
            f"pretraining and finetuning need {' and '.join(missing)}, not installed here: "
            'pip install "seisweep[foreshock]" (mlstm_kernels is under the NXAI Community License, which is not an '
            "open-source licence: read it before commercial use)"
        )
