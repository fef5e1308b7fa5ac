"""MLflow's server as `seisweep ui` starts it: the same, and its pages open on runs.

Its first page opens the one on language models, and on a server of this machine a panel of an assistant, which takes a
quarter of the screen. What a browser keeps of both is set where it has nothing yet; both can be opened with a click.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from flask import Response, request
from mlflow.server import app as flask_app
from mlflow.server.fastapi_app import create_fastapi_app

KEPT = {"mlflow.workflowType_v1": '"machine_learning"', "mlflow.assistant.fab.autoOpenedOnFirstLoad_v1": "true"}
"""What MLflow's pages keep in a browser, as they write it."""


def create_app(app: Any = flask_app) -> FastAPI:
    """Found by `mlflow server --app-name seisweep`."""
    app.after_request(_with_script)
    return create_fastapi_app(app)


def _with_script(response: Response) -> Response:
    """The first page with the settings in it."""
    if request.path == "/" and response.mimetype == "text/html":
        response.direct_passthrough = False
        response.set_data(response.get_data().replace(b"<head>", f"<head><script>{_SCRIPT}</script>".encode(), 1))
        for name in ("ETag", "Last-Modified", "Cache-Control"):
            response.headers.pop(name, None)
    return response


_SCRIPT = "".join(f"localStorage.getItem('{key}')===null&&localStorage.setItem('{key}','{KEPT[key]}');" for key in KEPT)
