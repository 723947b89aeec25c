"""The only importer of mlflow: turns spooled events into MLflow runs, each exactly once.

What makes a repeated event harmless: a run is found by its tag before one is created, an existing
parameter is left alone, tags, status and artefacts overwrite themselves, and a metric that may
have been sent before is looked up by (key, step) first.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from genesis.evolution.tracking.redact import redact_text
from genesis.evolution.tracking.spool import Event
from genesis.evolution.tracking.target import Target

# MLflow reads these when imported. Our own loop retries, so a request may fail fast.
ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_ENABLE_ASYNC_LOGGING": "false",
    "MLFLOW_DISABLE_AGENT_HINT": "true",
    "GIT_PYTHON_REFRESH": "quiet",
}

STUDY = "study"
TEXT_SUFFIXES = (".yaml", ".yml", ".json", ".jsonl", ".html", ".txt", ".md")
_FINAL_CODES = {"INVALID_PARAMETER_VALUE", "BAD_REQUEST", "INVALID_STATE", "MALFORMED_REQUEST"}
_PARAMS_PER_CALL = 90
_METRICS_PER_CALL = 900
_VALUE_LIMIT = 4000


class Unreachable(Exception):
    """The server cannot take the event now; it may later."""


class Refused(Exception):
    """The server refused the event for good."""


class RunMissing(Exception):
    """The server does not know the run of this event (a new database, a deleted run)."""


class MlflowSink:
    """Sends the events of one run.

    Parameters
    ----------
    target : Target
    """

    def __init__(self, target: Target) -> None:
        os.environ.update({k: os.environ.get(k, v) for k, v in ENVIRONMENT.items()})
        os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
        self._target = target
        self._client: Any = None
        self._experiment = ""
        self._runs: dict[str, str] = {}

    def send(self, start: Event, event: Event, *, check: bool) -> None:
        """Send one event of the run that ``start`` describes.

        Parameters
        ----------
        start : dict
            The run's first event.
        event : dict
        check : bool
            Whether the event may have arrived before: after a failure and after a restart.

        Raises
        ------
        Unreachable, Refused, RunMissing
        """
        self._guarded(lambda: self._dispatch(start, event, check))

    def close_run(self, start: Event) -> None:
        """Mark a run whose study ended without saying so as killed; a resume reopens it.

        Raises
        ------
        Unreachable, Refused, RunMissing
        """
        self._guarded(lambda: self._close(start))

    def _close(self, start: Event) -> None:
        self._find(start)
        for run in self._runs.values():
            self._client.set_terminated(run, "KILLED")

    def _guarded(self, action: Callable[[], None]) -> None:
        """Run an action and turn whatever fails into one of the three answers."""
        from mlflow.exceptions import MlflowException

        try:
            action()
        except (RunMissing, Refused):
            self._forget()
            raise
        except MlflowException as error:
            self._forget()
            reason = redact_text(str(error))[:500]
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                raise RunMissing(reason) from None
            if error.error_code in _FINAL_CODES:
                raise Refused(reason) from None
            raise Unreachable(reason) from None
        except Exception as error:  # drivers and requests raise their own kinds
            self._forget()
            raise Unreachable(redact_text(f"{type(error).__name__}: {error}")[:500]) from None

    def _connect(self) -> Any:
        from mlflow.tracking import MlflowClient

        return MlflowClient(tracking_uri=self._target.uri)

    def _forget(self) -> None:
        self._client, self._experiment, self._runs = None, "", {}

    def _dispatch(self, start: Event, event: Event, check: bool) -> None:
        self._find(start)
        kind = event["kind"]
        if kind == "start":
            self._start(event)
            return
        if STUDY not in self._runs:
            raise RunMissing(f"no run tagged {start['key']}")
        if kind == "generation":
            self._generation(start, event, check)
        elif kind == "artifact":
            self._artifact(event)
        elif kind == "finish":
            self._finish(event)

    def _find(self, start: Event) -> None:
        if self._experiment and STUDY in self._runs:
            return
        if self._client is None:
            self._client = self._connect()
        name = start["experiment"]
        found = self._client.get_experiment_by_name(name)
        if found is None:
            self._experiment = self._client.create_experiment(
                name, artifact_location=self._target.artifact_root or None
            )
        elif found.lifecycle_stage == "deleted":
            raise Refused(f"the experiment '{name}' was deleted in MLflow; restore it there")
        else:
            self._experiment = found.experiment_id
        runs = self._client.search_runs(
            [self._experiment], f"tags.`genesis.run_key` = '{start['key']}'", max_results=1000
        )
        self._runs = {run.data.tags["genesis.role"]: run.info.run_id for run in runs}

    def _create(self, start: Event, role: str, name: str, extra: Mapping[str, str]) -> str:
        tags = {
            "genesis.run_id": start["run_id"],
            "genesis.run_key": start["key"],
            "genesis.role": role,
            **extra,
        }
        run = self._client.create_run(
            self._experiment, start_time=start["ts_ms"], tags=tags, run_name=name
        )
        self._runs[role] = run.info.run_id
        return str(run.info.run_id)

    def _start(self, event: Event) -> None:
        from mlflow.entities import Param, RunTag

        run = self._runs.get(STUDY)
        if run is None:
            run = self._create(event, STUDY, event["run_id"], {})
        else:
            for known in self._runs.values():
                self._client.update_run(known, status="RUNNING")
        present = self._client.get_run(run).data.params
        params = [
            Param(key, value[:_VALUE_LIMIT])
            for key, value in event["params"].items()
            if key not in present
        ]
        for at in range(0, len(params), _PARAMS_PER_CALL):
            self._client.log_batch(run, params=params[at : at + _PARAMS_PER_CALL])
        tags = [RunTag(key, value[:_VALUE_LIMIT]) for key, value in event["tags"].items()]
        self._client.log_batch(run, tags=tags)

    def _generation(self, start: Event, event: Event, check: bool) -> None:
        self._metrics(self._runs[STUDY], event["metrics"], event, check)
        for name, metrics in event["islands"].items():
            role = f"island:{name}"
            run = self._runs.get(role)
            if run is None:
                parent = {"mlflow.parentRunId": self._runs[STUDY], "genesis.island": name}
                run = self._create(start, role, f"{start['run_id']} · {name}", parent)
            self._metrics(run, metrics, event, check)

    def _metrics(self, run: str, values: Mapping[str, float], event: Event, check: bool) -> None:
        from mlflow.entities import Metric

        step = event["generation"]
        missing = [
            Metric(key, value, event["ts_ms"], step)
            for key, value in values.items()
            if not (check and self._has(run, key, step))
        ]
        for at in range(0, len(missing), _METRICS_PER_CALL):
            self._client.log_batch(run, metrics=missing[at : at + _METRICS_PER_CALL])

    def _has(self, run: str, key: str, step: int) -> bool:
        return any(m.step == step for m in self._client.get_metric_history(run, key))

    def _artifact(self, event: Event) -> None:
        path = Path(event["path"])
        if not path.is_file():
            raise Refused(f"the artefact {path.name} is gone")
        run = self._runs[STUDY]
        if path.suffix not in TEXT_SUFFIXES:
            self._client.log_artifact(run, str(path))
            return
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / path.name
            copy.write_text(redact_text(path.read_text()))
            self._client.log_artifact(run, str(copy))

    def _finish(self, event: Event) -> None:
        from mlflow.entities import RunTag

        tags = [RunTag(key, value[:_VALUE_LIMIT]) for key, value in event["tags"].items()]
        self._client.log_batch(self._runs[STUDY], tags=tags)
        for run in self._runs.values():
            self._client.set_terminated(run, event["status"], end_time=event["ts_ms"])
