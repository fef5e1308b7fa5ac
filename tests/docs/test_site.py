"""The site is built without a warning, asks no other server for anything, and says what the code does."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main
from documented import REPOSITORY
from seisweep.cli import app
from seisweep.requested.explained import explained, what_is
from seisweep.requested.trainable import OWN

from search_spaces.named import NAMED
from trainables import metrics


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` does; a warning, such as a dead link, ends that."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", folder],
        cwd=REPOSITORY,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    said = [line for line in done.stderr.splitlines() if "No CUDA runtime is found" not in line]  # torch, without a GPU
    assert (done.returncode, done.stdout, said) == (0, "", [])
    return folder


def text_of(site: Path, page: str) -> str:
    html = (site / f"{page}.html").read_text()
    return " ".join(re.sub(r"<[^>]+>", " ", html).replace("&#39;", "'").split())


def test_no_page_asks_another_server(site):
    for file in site.rglob("*.html"):
        for tag, attributes in re.findall(r"<(script|link|img|iframe|source)\b([^>]*)>", file.read_text()):
            assert not re.search(r"(?:src|href|srcset)=\"?(?:https?:)?//", attributes), f"{file}: {tag} {attributes}"
    for style in site.rglob("*.css"):
        assert not re.search(r"(?:@import|url\()\s*[\"']?(?:https?:)?//", style.read_text()), style


def test_every_page_has_a_place_and_what_makes_pages_is_none_of_them(site):
    written = {file.relative_to(REPOSITORY / "docs").with_suffix("") for file in (REPOSITORY / "docs").rglob("*.md")}
    assert {page for page in written if not (site / f"{page}.html").is_file()} == set()
    assert not list(site.rglob("*.py"))


def test_the_reference_has_every_command_option_and_setting(site):
    page = text_of(site, "reference/commands")
    for name, command in typer.main.get_command(app).commands.items():
        assert f"seisweep {name}" in page
        assert all(one.opts[-1] in page for one in command.params if one.param_type_name == "option"), name
    for name in OWN:
        page = text_of(site, f"reference/settings/{name}")
        for one in explained(what_is(name)):
            assert one.key in page
            assert one.takes.replace("|", "") in page
            assert one.default in page


def test_the_reference_has_every_named_sweep_profile_and_metric(site):
    sweeps, profile, names = (text_of(site, f"reference/{name}") for name in ("sweeps", "profiles", "metrics"))
    assert all(name in sweeps for name in NAMED)
    assert all(field in profile for field in ("submit_to", "tracking_deadline_s", "memory_gb_per_worker"))
    constants = {value for name, value in vars(metrics).items() if name.isupper() and isinstance(value, str)}
    assert all(value in names for value in constants)


def test_the_api_has_what_notebooks_use(site):
    import seisweep

    page = text_of(site, "api/notebooks")
    assert all(name in page for name in [*seisweep.__all__, "SweepResults", "importances", "conditions"])
    assert "settings: values by dotted key" not in page, "arguments are a table"
