"""Files that ObsPy tests itself with: nothing crashes, and picks are SeisBench's but for what is left out by rule."""

from __future__ import annotations

import pytest

from benchmarks.obspy_files import compare, files, load

LARGEST_BYTES = 300_000


@pytest.mark.integration
# Not "ah": `classify` takes two minutes for three days at 0.1 Hz, which it resamples.
@pytest.mark.parametrize("format", ["alsep", "gse2", "kinemetrics", "mseed", "sac", "seisan"])
def test_files_of_obspy_are_picked_as_seisbench_picks_them(format, shared_data):
    model, network = load(str(shared_data / "real_data/teachers/teacher_pn_original"))
    rows = [compare(file, model, network) for file in files([format]) if file.stat().st_size <= LARGEST_BYTES]
    assert len(rows) >= 3
    assert [row for row in rows if row.kind == "different"] == []
    assert not any("Traceback" in row.said for row in rows)
    assert {row.code for row in rows if row.kind in ("unreadable", "no samples")} <= {1}
