"""Picks as QuakeML 1.2. The same picks of the same model have the same identifiers, whenever they are written."""

from __future__ import annotations

import hashlib
import io
import pkgutil
import re
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version

from obspy import UTCDateTime
from obspy.core.event import (
    Catalog,
    Comment,
    CreationInfo,
    Event,
    QuantityError,
    ResourceIdentifier,
    WaveformStreamID,
)
from obspy.core.event import Pick as EventPick

from trainables.edge.network import Network
from trainables.edge.picking import Pick

ROOT = "smi:local/seisweep"
VERSION_FILE = "version.txt"
"""Beside this file in `pick.pyz`, where seisweep is not installed."""


def quakeml(picks: Sequence[Pick], network: Network, created: UTCDateTime) -> str:
    """All picks in one event without origin: they are not associated, and QuakeML holds picks in events alone.

    `time_errors` are the standard deviation of the residuals on dev, where the model holds them. Apart from `created`
    the same picks make the same text.
    """
    model = _plain(network.name)
    by = CreationInfo(author="seisweep", version=version(), creation_time=created)
    told = [_pick(pick, network, model, by) for pick in picks]
    same = hashlib.sha1("\n".join(str(pick.resource_id) for pick in told).encode()).hexdigest()
    event = Event(
        resource_id=_id("picks", model, same),
        creation_info=by,
        comments=[_comment(f"picks of {network.name}, not associated with earthquakes", "picks", model, same)],
    )
    event.picks = told
    data = io.BytesIO()
    Catalog([event], resource_id=_id("catalogue", model, same), creation_info=by).write(data, format="QUAKEML")
    return data.getvalue().decode()


def version() -> str | None:
    """Of seisweep; None where nothing says it."""
    try:
        return installed_version("seisweep")
    except PackageNotFoundError:
        pass
    try:
        return (pkgutil.get_data("trainables.edge", VERSION_FILE) or b"").decode() or None
    except OSError:
        return None


def _pick(pick: Pick, network: Network, model: str, by: CreationInfo) -> EventPick:
    waveform = WaveformStreamID(pick.network, pick.station, pick.location, pick.channel)
    when = pick.time.strftime("%Y%m%dT%H%M%S.%fZ")
    name = "pick", model, _plain(f"{pick.trace_id}.{pick.channel}"), pick.phase, when
    uncertainty_s = network.residual_std_s.get(pick.phase)
    return EventPick(
        resource_id=_id(*name),
        time=pick.time,
        time_errors=None if uncertainty_s is None else QuantityError(uncertainty=uncertainty_s),
        phase_hint=pick.phase,
        waveform_id=waveform,
        method_id=_id(model),
        evaluation_mode="automatic",
        creation_info=by,
        comments=[_comment(f"probability {pick.probability:.4f}", *name)],
    )


def _comment(text: str, *name: str) -> Comment:
    return Comment(text=text, resource_id=_id("comment", *name), force_resource_id=False)


def _id(*name: str) -> ResourceIdentifier:
    return ResourceIdentifier(f"{ROOT}/{'/'.join(name)}")


def _plain(name: str) -> str:
    """With the letters that an identifier may have."""
    return re.sub(r"[^A-Za-z0-9_.*()~'-]+", "_", name)
