"""Two things that can go wrong with MLflow: it refuses what it is told, or it does not answer.

What is refused will be refused again, and concerns nothing else; who does not answer (no connection, too late, an
error of the server's own, too many calls, a page of somebody else in between) is asked again. A server that lets a user
in no longer while a sweep runs is one that does not answer; where nothing has begun, it is said at once.
"""

from __future__ import annotations

import json
import math
import os
import re
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import requests
from mlflow.exceptions import MlflowException, RestException

from seisweep.private.mlflow import asked_once

PAUSES_S = (0.1, 0.4)
"""After which a call that got no answer is repeated at once, before it counts as one..."""
MOST_S = 30.0
"""... unless waiting for the answer took so long: one that came too late is asked for once more."""
FIRST_PAUSES_S, FIRST_MOST_S = (0.2, 0.8, 2.0), 30.0
"""The same where nothing can begin without the answer."""

AGAIN = (401, 403, 407, 408, 409, 425, 429)
"""HTTP statuses below 500 that say nothing about what was sent: who sent it, when, how often."""

REFUSED = ("INVALID_PARAMETER_VALUE", "BAD_REQUEST", "RESOURCE_DOES_NOT_EXIST")
"""The same by MLflow's own codes, where there was no HTTP."""

USER, PASSWORD = "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"
"""Variables that MLflow's client reads."""

T = TypeVar("T")


class NoAnswerError(Exception):
    """MLflow did not answer, or somebody else did."""


class RefusedError(Exception):
    """MLflow answered that it does not take this."""


class NotLetInError(ValueError):
    """A server does not let this user in."""


class _Last:
    heard_s = -math.inf


_LAST = _Last()


def heard_s() -> float:
    """When MLflow answered last in this process, on the clock of `time.monotonic`."""
    return _LAST.heard_s


def ask(
    call: Callable[[], T], pauses_s: Sequence[float] | None = None, most_s: float = MOST_S, *, at_start: bool = False
) -> T:
    """What MLflow answers. The call may be repeated, so it must do no harm twice; MLflow's own client repeats none.

    Raises NoAnswerError or RefusedError, in one line; at the start also NotLetInError, at once.
    """
    began_s = time.monotonic()
    for pause_s in (*(PAUSES_S if pauses_s is None else pauses_s), math.inf):
        try:
            with asked_once():
                answer = call()
            _LAST.heard_s = time.monotonic()
            return answer
        except RefusedError:
            raise
        except Exception as error:  # stores of files and databases raise what their libraries do
            if is_refusal(error):
                raise RefusedError(one_line(error)) from error
            if at_start and (status := keeps_out(error)):
                raise NotLetInError(why_not_let_in(status)) from error
            if time.monotonic() - began_s + pause_s > most_s:
                raise NoAnswerError(one_line(error)) from error
            time.sleep(pause_s)
    raise AssertionError("the last attempt returns or raises")


def ask_at_the_start(call: Callable[[], T]) -> T:
    """The same with more patience, where nothing can begin without the answer."""
    return ask(call, FIRST_PAUSES_S, FIRST_MOST_S, at_start=True)


def keeps_out(error: BaseException) -> int:
    """The HTTP status with which a server keeps this user out, 401 or 403; else 0. Errors are those of MLflow's client,
    or of `ask`."""
    if isinstance(error, requests.HTTPError) and error.response is not None:
        status = error.response.status_code
    elif isinstance(error, RestException):
        status = error.get_http_status_code()
    else:  # what is not JSON comes as words
        found = re.search(r"(?:^|error code )(401|403)\b", str(error)) if isinstance(error, MlflowException) else None
        status = int(found.group(1)) if found else 0
    if status in (401, 403):
        return status
    return keeps_out(error.__cause__) if error.__cause__ else 0


def why_not_let_in(status: int) -> str:
    """What to say of it, and what would be right."""
    user = os.environ.get(USER)
    if not user or not os.environ.get(PASSWORD):
        return f"it needs a user and a password: set {USER} and {PASSWORD}"
    if status == 403:
        return f"the user {user} ({USER}) may not do this there: ask for the permission, or set another one"
    return f"it does not take {user} ({USER}) with the password in {PASSWORD}"


def is_refusal(error: Exception) -> bool:
    """Whether the error is about what was sent."""
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return _says_so(error.response.status_code)
    if isinstance(error, OSError | json.JSONDecodeError):
        return False
    if isinstance(error, RestException):
        return _says_so(error.get_http_status_code())
    if isinstance(error, MlflowException):  # of the client, of a database, or of a client that got a web page
        return error.error_code in REFUSED and not str(error).startswith("API request to")
    return isinstance(error, ValueError | TypeError | OverflowError)


def _says_so(status: int) -> bool:
    return 400 <= status < 500 and status not in AGAIN


def send(write: Callable[[Sequence[T]], None], items: Sequence[T], a_call: int) -> list[tuple[T, str]]:
    """Write all items, so many a call; those that are refused are found by halving. Returns them with the reasons.

    Raises NoAnswerError.
    """
    refused: list[tuple[T, str]] = []
    for start in range(0, len(items), a_call):
        refused += _send(write, items[start : start + a_call])
    return refused


def _send(write: Callable[[Sequence[T]], None], items: Sequence[T]) -> list[tuple[T, str]]:
    try:
        ask(lambda: write(items))
    except RefusedError as error:
        if len(items) == 1:
            return [(items[0], str(error))]
        half = len(items) // 2
        return _send(write, items[:half]) + _send(write, items[half:])
    return []


def one_line(error: Exception) -> str:
    """What an error says first."""
    return " ".join((str(error) or type(error).__name__).partition("\n")[0].split())[:300]
