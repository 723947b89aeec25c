"""Nobody reads any more what a command prints (`genesis demo | head`): it ends as on Ctrl-C."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from contextvars import ContextVar

from rich.console import Console

EXIT_CODE = 141
"""That of a program which the signal SIGPIPE ends."""

_CLOSED: ContextVar[bool] = ContextVar("nobody reads what is printed", default=False)


class NobodyReads(KeyboardInterrupt):
    """Whatever was being done is to stop and to be saved, as when the user asks for it."""


class OpenConsole(Console):
    """A console that does not end the process when its reader has gone."""

    def on_broken_pipe(self) -> None:
        """Print no more, and stop what is being done."""
        self.quiet = True
        silence(stderr=self.stderr)
        raise NobodyReads


def silence(*, stderr: bool) -> None:
    """Let standard output, or standard error, go nowhere from here on."""
    _CLOSED.set(True)
    with suppress(OSError, ValueError):  # a stream that is no file
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, (sys.stderr if stderr else sys.stdout).fileno())
        os.close(nowhere)


def closed() -> bool:
    """Whether a reader has gone since the command began."""
    return _CLOSED.get()
