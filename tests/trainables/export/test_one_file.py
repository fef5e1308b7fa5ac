"""A class as one file: what is ours comes along, what is not is imported, and it does the same."""

from __future__ import annotations

import ast
import sys
import types

import torch
from lifelike import picker

from trainables.export.one_file import as_one_file
from trainables.models.xiaonet import XiaoNet


def test_the_file_names_nothing_of_ours_and_its_network_answers_the_same(tmp_path):
    text = as_one_file(XiaoNet, "A picker.", without=("interface",))
    imported = [node.module or "" for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom)]
    imported += [one.name for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Import) for one in node.names]
    assert {name.partition(".")[0] for name in imported} == {"__future__", "seisbench", "torch", "typing"}

    module = types.ModuleType("alone")
    exec(text, module.__dict__)
    assert module.__doc__ == "A picker."
    for pooling, norm in ((2, "batch"), (4, "group")):
        ours = picker(base_channels=4, pooling=pooling, norm=norm)
        ours.save(tmp_path / "xiaonet", version_str="1")
        theirs = module.XiaoNet.load(tmp_path / "xiaonet", version_str="1").eval()
        raw_BXT = torch.randn(2, 3, 3001, generator=torch.Generator().manual_seed(0)) * 1e-9
        with torch.no_grad():
            answers = [one(one.annotate_batch_pre(raw_BXT, {})) for one in (ours, theirs)]
        torch.testing.assert_close(*answers, rtol=0, atol=0)
    assert not hasattr(module.XiaoNet, "interface")


def test_definitions_come_after_those_that_they_need_with_their_comments(tmp_path, monkeypatch):
    """Of two modules; a decorator, the docstring of a constant and an import under another name stay."""
    package = tmp_path / "trainables"
    package.mkdir()
    (package / "depth.py").write_text('SCALE = 3\n"""How much."""\n\n\ndef unused():\n    return 0\n')
    (package / "top.py").write_text(
        "import numpy as np\nfrom functools import cache, wraps\nfrom trainables.depth import SCALE\n\n\n"
        "class Top:\n    @staticmethod\n    @cache  # once\n    def value():\n        return np.int64(SCALE)\n\n"
        "    @property\n    def only_here(self):\n        return wraps\n\n    end = 1\n"
    )
    (package / "__init__.py").touch()
    for name in [name for name in sys.modules if name.partition(".")[0] == "trainables"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(str(tmp_path))
    entry = type("Top", (), {"__module__": "trainables.top"})
    text = as_one_file(entry, "Two.", without=("only_here",))
    assert text == (
        '# SPDX-License-Identifier: GPL-3.0-or-later\n"""Two."""\n\nfrom __future__ import annotations\n\n'
        'import numpy as np\nfrom functools import cache\n\nSCALE = 3\n"""How much."""\n\n\n'
        "class Top:\n    @staticmethod\n    @cache  # once\n    def value():\n        return np.int64(SCALE)\n\n"
        "    end = 1\n"
    )
