"""The network of docs/tutorials/your-own-network.md works as it stands there."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import torch

from trainables.export.own import what_is_missing
from trainables.models.own_network import build_own, probe

PAGE = Path(__file__).resolve().parents[2] / "docs/tutorials/your-own-network.md"


@pytest.fixture
def my_network(tmp_path, monkeypatch):
    """The module of the page, where a user has it: in the current folder."""
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (tmp_path / "my_network.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield code
    sys.modules.pop("my_network", None)


def test_the_network_of_the_page_trains_and_is_quantized(my_network):
    assert len(my_network.strip().splitlines()) <= 30
    picker = build_own("my_network:MyNet", {"width": 8})
    probe(picker)
    assert picker.interface.window_samples == 2000
    assert what_is_missing(picker) == ""
    assert picker.parts == {"encoder": ("own.down",), "backbone": ("own.up",)}
    assert torch.isfinite(picker(torch.zeros(1, 3, 2000))).all()


def test_settings_of_the_page_are_settings():
    from seisweep.requested.sweep import narrow
    from seisweep.requested.trainable import Trainable
    from seisweep.settings.overrides import parse_overrides

    from search_spaces.named import named_sweep
    from search_spaces.narrowing import searched_keys
    from search_spaces.sweep import single_run

    lines = [line.split() for line in PAGE.read_text().splitlines() if re.match("seisweep (train|run) ", line)]
    assert len(lines) >= 5
    for _, command, name, *words in lines:
        overrides = parse_overrides([word for word in words if "=" in word])
        sweep = narrow(named_sweep(name) if command == "run" else single_run(name, {}), overrides, {})
        Trainable.find(name).check(sweep)
        own = "my_network:MyNet" in " ".join(words)
        assert not (own and "student.base_channels" in searched_keys(sweep))
