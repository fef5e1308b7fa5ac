"""What a picker was made of: data sets, continuous waveforms, teachers."""

from __future__ import annotations

import pytest
from seisweep.promotion.sources import origins_of

TEACHER = {"weights": "/no/such/teacher", "architecture": None}
FACTS = {"data_fingerprint": "f00d", "streams_fingerprint": "beef", "streams_hours": "train 7, dev 2, test 4"}


@pytest.mark.parametrize("beside", [False, True])
def test_streams_are_named_beside_a_data_set_and_alone(beside, earthquakes):
    dataset = str(earthquakes) if beside else []
    data = {"dataset": dataset, "streams": ["/archive/one", "/archive/two"]}
    *sets, streams, teacher = origins_of({"data": data, "teacher": TEACHER}, FACTS | {"traces": "9"}, "the test split")
    assert [one["name"] for one in sets] == ([earthquakes.name] if beside else [])
    assert (streams["name"], streams["fingerprint"], streams["hours"]) == ("one, two", "beef", FACTS["streams_hours"])
    assert streams.get("test split") == (None if beside else "the test split")
    assert teacher["what"] == "teacher"


def test_a_student_names_the_weights_that_it_went_on_from():
    student = {"pretrained": "/no/such/earlier", "architecture": "xiaonet"}
    settings = {"data": {"dataset": [], "streams": "/archive"}, "teacher": TEACHER, "student": student}
    *_, teacher, earlier = origins_of(settings, FACTS | {"pretrained": "/cache/earlier.pt.v1"}, "")
    assert (teacher["what"], earlier["what"]) == ("teacher", "weights it started from")
    assert (earlier["name"], earlier["digest"]) == ("earlier", "/cache/earlier.pt.v1")


def test_a_second_teacher_is_named_as_one_that_has_not_taught():
    settings = {"data": {"dataset": [], "streams": "/archive"}, "teacher": TEACHER, "second_teacher": TEACHER}
    assert origins_of(settings, FACTS, "")[-1]["what"].startswith("second teacher, for comparison only")
