"""Python and profiles that README and docs show, and links of files that are not part of the site."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import seisweep
from documented import PAGES, REPOSITORY, Block, blocks
from seisweep import charts
from seisweep.results import SweepResults
from seisweep.settings.profile import load_profile

SHOWN = [block for page in PAGES for block in blocks(page)]
NAMES = {"seisweep": seisweep, "sweep": SweepResults, "charts": charts}
"""What a name is in the snippets."""

BESIDE = [REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docker/README.md")]


def test_every_block_is_of_a_language_that_is_looked_at():
    assert {block.language for block in SHOWN} == {"", "text", "python", "toml"}


@pytest.mark.parametrize("block", [one for one in SHOWN if one.language == "python"], ids=lambda one: one.where)
def test_python_uses_names_that_exist(block: Block):
    for node in ast.walk(ast.parse(block.text)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in NAMES:
            known = [*dir(NAMES[node.value.id]), "name"]
            assert node.attr in known, f"{node.value.id}.{node.attr}"


@pytest.mark.parametrize("block", [one for one in SHOWN if one.language == "toml"], ids=lambda one: one.where)
def test_profiles_are_profiles(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5000")
    file = tmp_path / "shown.toml"
    file.write_text(block.text)
    assert load_profile(str(file)).gpus_per_worker > 0


@pytest.mark.parametrize("page", BESIDE, ids=lambda page: page.parent.name + "-" + page.stem)
def test_links_lead_somewhere(page: Path):
    found = re.findall(r"\]\(([^)#\s]+)(?:#([\w-]+))?\)", page.read_text())
    for target, anchor in found:
        if "://" in target:
            continue
        file = page.parent / target
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), f"{target}#{anchor}"


def anchors(file: Path) -> set[str]:
    """Of the headings of a page."""
    titles = re.findall(r"^#+ (.*)", file.read_text(), re.M)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_readme_can_be_read_in_minutes():
    assert len((REPOSITORY / "README.md").read_text().split()) <= 1500, "details belong into docs/"
