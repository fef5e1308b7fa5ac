"""Which reader a tracking URI needs."""

from __future__ import annotations

from seisweep.quiet import quiet
from seisweep.results.runs import Reader

DATABASES = ("sqlite", "postgresql", "mysql", "mssql")


def open_store(uri: str) -> Reader:
    """The reader of a tracking URI. Raises ValueError where there is no such store, or it does not answer."""
    quiet()  # MLflow's telemetry starts with its import
    if is_database(uri):
        from seisweep.results.from_database import DatabaseReader

        return DatabaseReader(uri)
    from seisweep.results.from_server import ServerReader

    return ServerReader(uri)


def is_database(uri: str) -> bool:
    """Whether a tracking URI names a database, which is read and written without a server."""
    return uri.partition(":")[0].partition("+")[0] in DATABASES
