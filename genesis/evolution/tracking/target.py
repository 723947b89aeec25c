"""Where tracking goes: a tracking URI, and the command that shows it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from genesis.domain.errors import ConfigError
from genesis.evolution.tracking.redact import redact_uri

SCHEMES = ("sqlite", "http", "https", "postgresql", "mysql", "mssql", "file")


@dataclass(frozen=True, slots=True)
class Target:
    """A tracking server or database.

    Attributes
    ----------
    uri : str
        MLflow tracking URI; may hold credentials, so print `label` instead.
    artifact_root : str
        URI of the folder for artefacts of experiments that we create; empty leaves the choice to
        the server (right for ``http``).
    """

    uri: str
    artifact_root: str = ""

    def __post_init__(self) -> None:
        scheme = self.uri.split(":", 1)[0].split("+", 1)[0]
        if "://" not in self.uri or scheme not in SCHEMES:
            raise ConfigError(
                f"'{redact_uri(self.uri)}' is not a tracking URI",
                fix="write http://host:port or sqlite:///path/to/mlflow.db, or leave it out"
                " to track in the workspace",
            )

    def __repr__(self) -> str:
        return f"Target({self.label})"

    @property
    def label(self) -> str:
        """The URI without credentials."""
        return redact_uri(self.uri)


def default_target(home: Path) -> Target:
    """SQLite database and artefact folder inside the workspace."""
    place = home.resolve()
    return Target(f"sqlite:///{place / 'mlflow.db'}", (place / "mlartifacts").as_uri())


def target_of(uri: str | None, home: Path) -> Target:
    """Target of a configured URI; the workspace's own database where none is given.

    Raises
    ------
    ConfigError
        If the URI has no scheme that MLflow tracks to.
    """
    own = default_target(home)
    if not uri:
        return own
    return Target(uri, "" if uri.startswith("http") else own.artifact_root)


def ui_command(home: Path, host: str = "127.0.0.1", port: int = 5000) -> list[str]:
    """Command line that serves the workspace's tracking database.

    The server accepts only the host names of its own address, so that a web page elsewhere
    cannot reach it by rebinding a name, and starts one worker: it serves one person.
    """
    own = default_target(home)
    names = dict.fromkeys([f"{host}:{port}", f"localhost:{port}", f"127.0.0.1:{port}"])
    return [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--backend-store-uri",
        own.uri,
        "--artifacts-destination",
        own.artifact_root,
        "--host",
        host,
        "--port",
        str(port),
        "--workers",
        "1",
        "--allowed-hosts",
        ",".join(names),
    ]
