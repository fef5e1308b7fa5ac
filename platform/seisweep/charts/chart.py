"""What a chart is: whether a sweep can have it, and how it is drawn.

    @chart(lacking=one_seed)
    def conditions(sweep): ...

    conditions.applicable(sweep)  # asks only what it must
    conditions(sweep)             # a matplotlib figure, or a ValueError that says why there is none

`alike` says why a chart of this kind would show noise alone: what it draws hardly differs between the trials. It is
left out then, and whoever shows the others says that line.

Readable in print and by colour-blind readers: Okabe and Ito's colours or cividis, and never a colour alone.
"""

from __future__ import annotations

from collections.abc import Callable

from matplotlib.figure import Figure

from seisweep.results.sweep_results import SweepResults

Lacking = Callable[[SweepResults], str]
"""Why a sweep cannot have a chart, in one line; empty where it can."""


class Chart:
    """One kind of chart of a whole sweep, out of its record."""

    def __init__(self, draw: Callable[[SweepResults], Figure], lacking: Lacking, alike: Lacking) -> None:
        self.name, self.__doc__ = draw.__name__, draw.__doc__
        self.draw, self.lacking, self.alike = draw, lacking, alike

    def applicable(self, sweep: SweepResults) -> bool:
        """Whether this sweep can have it. Nothing is drawn to find out."""
        return not self.lacking(sweep) and not self.alike(sweep)

    def left_out(self, sweep: SweepResults) -> str:
        """Why a sweep that has all it takes is better without it, in one line; empty of any other."""
        return "" if self.lacking(sweep) else self.alike(sweep)

    def __call__(self, sweep: SweepResults) -> Figure:
        """The figure. Raises ValueError where the sweep has nothing of this kind."""
        if reason := self.lacking(sweep) or self.alike(sweep):
            raise ValueError(reason)
        return self.draw(sweep)


def chart(lacking: Lacking, alike: Lacking = lambda sweep: "") -> Callable[[Callable[[SweepResults], Figure]], Chart]:
    """Makes a chart of a function that draws one."""
    return lambda draw: Chart(draw, lacking, alike)


def reason_of(look: Callable[[], object]) -> str:
    """What a look at the record complains of; empty where it finds what it wants."""
    try:
        look()
    except ValueError as error:
        return str(error)
    return ""
