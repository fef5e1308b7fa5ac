"""A sweep as one HTML page that needs nothing beside it: what was asked, what was found, how it was run.

Everything is read through `seisweep.results`. Figures stand in the page itself, and its only addresses are those of
the runs in MLflow; a policy in its head forbids the browser to ask for anything else.
"""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from seisweep import charts
from seisweep.record import tags
from seisweep.report.figures import Picture, figures_of_sweep, figures_of_trial
from seisweep.report.findings import found
from seisweep.report.how_it_ran import pages_in_mlflow, ran
from seisweep.report.question import asked
from seisweep.results.sweep_results import SweepResults
from trainables.atomic import whole_file

TEMPLATE = "page.html"


def write_report(sweep: SweepResults, file: Path) -> None:
    """Write the page; it appears whole, or not at all. Raises ValueError where the folder cannot be written."""
    page = render(sweep)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(file) as arriving:
            arriving.write_text(page, encoding="utf-8")
    except OSError as error:
        raise ValueError(f"{file} cannot be written: {error.strerror or error}") from None


def render(sweep: SweepResults, figures: list[Picture] | None = None) -> str:
    """The page as text. `figures` of the sweep, where they are drawn already."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(files(__name__).joinpath(TEMPLATE).read_text(encoding="utf-8"))
    result = found(sweep)
    return template.render(
        name=sweep.name,
        kind=sweep.parent.data.tags[tags.KIND],
        asked=asked(sweep),
        found=result,
        ran=ran(sweep),
        links=pages_in_mlflow(sweep),
        is_home=not sweep.tracking_uri.startswith("http"),
        sweep_figures=figures_of_sweep(sweep) if figures is None else figures,
        left_out=charts.left_out(sweep),
        best_figures=figures_of_trial(sweep, result.best) if result.best is not None else [],
        missing=sweep.missing_files(),
        written=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )
