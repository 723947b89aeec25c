"""Command lines that are printed to be copied: with the workspace that the one before named."""

from __future__ import annotations

import re
import shlex
from contextvars import ContextVar

_HOME: ContextVar[str] = ContextVar("workspace that the command line named", default="")
_LINE = re.compile(
    r"\bgenesis (?=(?:demo|doctor|data|evolve|validate|report|backtest|ui|runs|strategies|seeds"
    r"|events|paper|replay|story|trades|reconcile|audit|risk|alerts|decide|review|kill|rearm|promote"
    r"|approve|demote|retire|deployments|live|venue|keys)\b)"
)


def keep_home(home: str) -> None:
    """Take note of the ``--home`` that was given; empty where none was.

    A workspace of the environment needs no repeating: it stands there for the next line too.
    """
    _HOME.set(home)


def whole(text: str) -> str:
    """Text in which each `genesis` command names the workspace that was given."""
    home = _HOME.get()
    return _LINE.sub(lambda _: f"genesis --home {shlex.quote(home)} ", text) if home else text
