"""Command lines that are printed to be copied: with the workspace that the one before named."""

from __future__ import annotations

from contextvars import ContextVar

from genesis.domain.command_lines import naming

_HOME: ContextVar[str] = ContextVar("workspace that the command line named", default="")


def keep_home(home: str) -> None:
    """Take note of the ``--home`` that was given; empty where none was.

    A workspace of the environment needs no repeating: it stands there for the next line too.
    """
    _HOME.set(home)


def whole(text: str) -> str:
    """Text in which each `genesis` command names the workspace that was given."""
    return naming(_HOME.get(), text)
