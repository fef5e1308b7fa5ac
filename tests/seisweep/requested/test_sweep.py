"""A named sweep with what was typed over it."""

from __future__ import annotations

import pytest
from seisweep.requested.sweep import narrow
from seisweep.settings.overrides import parse_overrides

from search_spaces.named import named_sweep


def test_what_a_sweep_cannot_do_without_is_asked_for_before_anything_starts():
    with pytest.raises(ValueError, match=r"^adaptation needs data.streams=...: seisweep run adaptation data.streams="):
        narrow(named_sweep("adaptation"), parse_overrides(["teacher.weights=stead"]), {})
    given = narrow(named_sweep("adaptation"), parse_overrides(["data.streams=/archive"]), {})
    assert given.base["data.streams"] == "/archive"
