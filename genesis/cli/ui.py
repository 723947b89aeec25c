"""`genesis ui`: MLflow's pages on the workspace."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated

import typer

from genesis.cli import render
from genesis.cli.options import Json, home_of


def ui(
    ctx: typer.Context,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 5000,
    as_json: Json = False,
) -> None:
    """Open MLflow on the workspace's runs; Ctrl-C ends it.

    With --json the command line is printed instead of run.

    Examples:

        genesis ui

        genesis ui --port 5001
    """
    from genesis.domain.errors import InfrastructureError, InputError
    from genesis.evolution.tracking import ui_command

    home = home_of(ctx)
    if not (home / "mlflow.db").exists():
        raise InputError(
            f"nothing has been tracked in {home} yet",
            fix="run a study first: genesis demo, or genesis evolve CONFIG",
        )
    command = ui_command(home, host, port)
    if as_json:
        render.emit({"url": f"http://{host}:{port}", "command": command})
        return
    if _taken(host, port):
        raise InputError(
            f"port {port} on {host} is in use",
            fix=f"choose another: genesis ui --port {port + 1}",
        )
    render.console().print(f"MLflow on http://{host}:{port}  (Ctrl-C ends it)", markup=False)
    try:
        code = run_group(command)
    except KeyboardInterrupt:
        return
    if code != 0:
        raise InfrastructureError(
            f"MLflow ended with exit code {code}", why="its own messages are above"
        )


def run_group(command: Sequence[str], grace_s: float = 10.0) -> int:
    """Run a command in a process group of its own and leave nothing of the group behind.

    A server starts workers that outlive it when only the server is told to stop.

    Parameters
    ----------
    command : sequence of str
    grace_s : float
        Seconds between asking the group to end and killing it.

    Returns
    -------
    int
        The command's exit code.

    Raises
    ------
    KeyboardInterrupt
        On SIGINT, SIGTERM or SIGHUP, after the group has ended.
    """
    import os
    import signal
    import subprocess
    from types import FrameType

    def interrupt(_: int, __: FrameType | None) -> None:
        raise KeyboardInterrupt

    ends = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, interrupt) for number in ends}
    process = subprocess.Popen(command, start_new_session=True)
    try:
        return process.wait()
    finally:
        for number in ends:  # a second Ctrl-C must not leave the work half done
            signal.signal(number, signal.SIG_IGN)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=grace_s)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for number, handler in before.items():
            signal.signal(number, handler)


def _taken(host: str, port: int) -> bool:
    import socket

    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return True
    return False
