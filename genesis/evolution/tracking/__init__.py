"""MLflow tracking: a durable spool, a process that ships it, and nothing that slows a study.

MLflow is a notebook that the platform writes to; no decision ever reads it back. `mlflow` itself
is imported by the shipping process only (it takes seconds), never by the study.
"""

from __future__ import annotations

from genesis.evolution.tracking.redact import redact_text, redact_uri
from genesis.evolution.tracking.ship import ShipReport, ship
from genesis.evolution.tracking.target import Target, default_target, ui_command
from genesis.evolution.tracking.tracker import MlflowTracker

__all__ = [
    "MlflowTracker",
    "ShipReport",
    "Target",
    "default_target",
    "redact_text",
    "redact_uri",
    "ship",
    "ui_command",
]
