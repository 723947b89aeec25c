"""Scripted time stays where nothing real is deployed: a log that saw it may be of the future.

A row is never stamped before the one before it. So a rehearsal whose exchange lets months pass in a
minute would date all that comes after, also what trades on an exchange that is not of this machine.
"""

from __future__ import annotations

from typing import Final

from genesis.decision.deployments import DeploymentBook
from genesis.decision.rows import REAL
from genesis.decision.stages import Target
from genesis.domain.errors import RefusedError
from genesis.domain.timeline import format_ts

CLOCK_SLACK_MS: Final = 5_000
"""A clock may be so far behind the last record before it counts as set back."""


def require_rehearsal(book: DeploymentBook) -> None:
    """Refuse scripted time to a workspace that has, or had, a deployment off this machine.

    Raises
    ------
    RefusedError
    """
    real = [one for one in book.deployments.values() if one.target is not Target.LOOPBACK]
    if real:
        raise RefusedError(
            "scripted time does not enter this workspace",
            why=f"{real[0].id} is deployed at {real[0].target}: its log would be of the future",
            fix="rehearse in a workspace of its own: genesis --home FOLDER",
        )


def require_present(target: str, stage: str, log_ms: int, clock_ms: int) -> None:
    """Refuse a step towards orders off this machine where the log is ahead of the clock.

    Parameters
    ----------
    target, stage : str
        Where the step leads.
    log_ms, clock_ms : int
        Now by the log, which never goes back, and by the clock.

    Raises
    ------
    RefusedError
    """
    if target == Target.LOOPBACK or stage not in REAL or log_ms - clock_ms <= CLOCK_SLACK_MS:
        return
    raise RefusedError(
        f"a step at {target} cannot be dated {format_ts(log_ms)}",
        why=f"the last row of the log of operations is {(log_ms - clock_ms) / 1000:.0f} s ahead of"
        " the clock: it is one of scripted time, or the clock was set back",
        fix="set the clock (NTP), or deploy from a workspace that saw no scripted time",
    )
