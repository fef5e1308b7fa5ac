"""What MLflow refuses, and who does not answer: two things."""

from __future__ import annotations

import json

import pytest
import requests
from mlflow.exceptions import MlflowException, RestException
from mlflow.protos.databricks_pb2 import BAD_REQUEST, INTERNAL_ERROR, INVALID_PARAMETER_VALUE, RESOURCE_DOES_NOT_EXIST
from mlflow.utils.rest_utils import verify_rest_response
from seisweep.record import mlflow_answers
from seisweep.record.mlflow_answers import (
    NoAnswerError,
    NotLetInError,
    RefusedError,
    ask,
    ask_at_the_start,
    is_refusal,
    send,
)
from seisweep.record.mlflow_store import store_answers


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mlflow_answers, "PAUSES_S", (0.0, 0.0))


def answer(status: int, body: str) -> requests.Response:
    response = requests.Response()
    response.status_code, response._content, response.encoding = status, body.encode(), "utf-8"
    return response


def as_mlflow_raises(status: int, body: str) -> Exception:
    with pytest.raises(MlflowException) as caught:
        verify_rest_response(answer(status, body), "/api/2.0/mlflow/runs/log-batch")
    return caught.value


def http_error(status: int) -> requests.HTTPError:
    return requests.HTTPError("no", response=answer(status, ""))


PAGE = "<html>please log in</html>"
JSON = json.dumps({"error_code": "INVALID_PARAMETER_VALUE", "message": "Invalid value 'recall@5'"})


@pytest.mark.parametrize(
    "error",
    [
        MlflowException("Invalid value", INVALID_PARAMETER_VALUE),
        MlflowException("Run 'a' not found", RESOURCE_DOES_NOT_EXIST),
        MlflowException("value too long", BAD_REQUEST),
        as_mlflow_raises(400, JSON),
        RestException({"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no such run"}),
        http_error(413),
        ValueError("Value out of range: 10000000000000000000000"),
        OverflowError("Python int too large"),
        UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"),
    ],
)
def test_what_is_refused_concerns_what_was_sent(error):
    assert is_refusal(error)


@pytest.mark.parametrize(
    "error",
    [
        ConnectionError("connection refused"),
        requests.Timeout("too late"),
        MlflowException("API request failed with timeout exception", INTERNAL_ERROR),
        as_mlflow_raises(200, PAGE),
        as_mlflow_raises(400, PAGE),
        as_mlflow_raises(404, PAGE),
        as_mlflow_raises(500, PAGE),
        as_mlflow_raises(503, json.dumps({"error_code": "TEMPORARILY_UNAVAILABLE", "message": "later"})),
        as_mlflow_raises(429, json.dumps({"error_code": "REQUEST_LIMIT_EXCEEDED", "message": "slowly"})),
        as_mlflow_raises(403, json.dumps({"error_code": "PERMISSION_DENIED", "message": "token expired"})),
        http_error(429),
        http_error(502),
        requests.exceptions.JSONDecodeError("Expecting value", PAGE, 0),
        KeyError("what a library of a store may raise"),
    ],
)
def test_everything_else_is_no_answer(error):
    assert not is_refusal(error)


def test_a_call_without_an_answer_is_repeated_and_a_refused_one_is_not():
    calls: list[Exception] = [ConnectionError("reset"), as_mlflow_raises(200, PAGE)]

    def call() -> str:
        if calls:
            raise calls.pop()
        return "done"

    assert ask(call) == "done"
    calls += [ConnectionError("reset")] * 3
    with pytest.raises(NoAnswerError, match="reset"):
        ask(call)
    calls += [ConnectionError("not asked"), MlflowException("Invalid\nmuch more", INVALID_PARAMETER_VALUE)]
    with pytest.raises(RefusedError, match=r"Invalid$"):
        ask(call)
    assert len(calls) == 1


def test_a_call_that_took_long_is_not_repeated(monkeypatch):
    monkeypatch.setattr(mlflow_answers, "MOST_S", 0.0)
    calls = []

    def call() -> None:
        calls.append(1)
        raise requests.Timeout("too late")

    with pytest.raises(NoAnswerError, match="too late"):
        ask(call, most_s=-1.0)
    assert len(calls) == 1


def test_what_is_refused_is_found_by_halving():
    written: list[int] = []
    sizes = []

    def write(part):
        sizes.append(len(part))
        if bad := [item for item in part if item % 100 == 17]:
            raise MlflowException(f"Invalid value {bad[0]}", INVALID_PARAMETER_VALUE)
        written.extend(part)

    refused = send(write, range(250), a_call=100)
    assert [item for item, _ in refused] == [17, 117, 217]
    assert sorted(written) == [item for item in range(250) if item % 100 != 17]
    assert len(sizes) < 50
    assert refused[0][1] == "Invalid value 17"


def raises(error: Exception) -> None:
    raise error


@pytest.mark.parametrize(
    ("error", "user", "part"),
    [
        (
            as_mlflow_raises(401, PAGE),
            "",
            "it needs a user and a password: set MLFLOW_TRACKING_USERNAME and MLFLOW_TRA",
        ),
        (
            as_mlflow_raises(401, PAGE),
            "anna",
            r"not take anna \(MLFLOW_TRACKING_USERNAME\) with the password in MLFLOW_",
        ),
        (http_error(401), "anna", "does not take anna"),
        (
            RestException({"error_code": "PERMISSION_DENIED", "message": "no"}),
            "anna",
            r"the user anna \(MLFLOW_TRACKING_USERNAME\) may not do this there",
        ),
    ],
)
def test_a_server_that_lets_nobody_in_is_one_line_at_once_where_nothing_has_begun(error, user, part, monkeypatch):
    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.setenv(name, user)
    monkeypatch.setattr(mlflow_answers.time, "sleep", lambda _: pytest.fail("it was asked again"))
    where = "the tracking store http://server does not let you in: .*"
    with pytest.raises(NotLetInError, match=where + part) as caught, store_answers("http://server"):
        ask_at_the_start(lambda: raises(error))
    assert "\n" not in str(caught.value)


def test_a_server_that_lets_nobody_in_any_more_does_not_end_a_sweep():
    with pytest.raises(NoAnswerError):
        ask(lambda: raises(as_mlflow_raises(401, PAGE)))
