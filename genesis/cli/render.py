"""What the commands print: tables, errors, one JSON object."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from genesis.cli.closed_pipe import OpenConsole
from genesis.cli.commands import whole
from genesis.domain.errors import GenesisError

SCHEMA = 1
UNMET_LEGEND = "* does not meet every constraint of its study; ranked behind all that do"
_PIPE_WIDTH = 240
_ERRNO = re.compile(r"\[Errno -?\d+\] ")


def console(*, stderr: bool = False) -> Console:
    """Return a console that wraps and colours only on a terminal (``NO_COLOR`` is respected)."""
    terminal = (sys.stderr if stderr else sys.stdout).isatty()
    if terminal:
        return OpenConsole(stderr=stderr, highlight=False, emoji=False)
    # Into a file or pipe nothing is folded: a table keeps one line a row.
    return OpenConsole(
        stderr=stderr, highlight=False, emoji=False, soft_wrap=True, width=_PIPE_WIDTH
    )


def plain(value: Any) -> Any:
    """Turn a value into what JSON has a form for; a non-finite number becomes null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, (str, int, bool, type(None))):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, Iterable):
        return [plain(item) for item in value]
    return str(value)


def emit(payload: Mapping[str, Any], *, ok: bool = True) -> None:
    """Print one JSON object with the schema version and the outcome in front."""
    document = {"schema": SCHEMA, "ok": ok, **payload}
    print(json.dumps(plain(document), ensure_ascii=False, allow_nan=False))


def in_words(why: str) -> str:
    """Cause of an error without the numbers that an operating system gives it."""
    return _ERRNO.sub("", why)


def error_payload(error: GenesisError) -> dict[str, Any]:
    """Shape of an error in JSON: kind, what, why, fix and the exit code."""
    return {
        "error": {
            "kind": type(error).__name__,
            "what": error.what,
            "why": in_words(error.why),
            "fix": whole(error.fix),
            "exit_code": error.exit_code,
        }
    }


def show_error(error: GenesisError) -> None:
    """Print an error for a person: what happened, why, what to do."""
    out = console(stderr=True)
    out.print("[bold red]error:[/]", end=" ")
    out.print(error.what, markup=False)
    for label, text in (("why", in_words(error.why)), ("fix", whole(error.fix))):
        if text:
            indented = text.replace("\n", "\n       ")
            out.print(f"[bold]{label + ':':6}[/]", end=" ")
            # A command in a fix is copied: the terminal may break its line, we must not.
            out.print(indented, markup=False, soft_wrap=label == "fix")


def number(value: Any, digits: int = 2) -> str:
    """Readable number: ``-`` for nothing, no exponent, thousands separated when whole."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.{digits}f}" if math.isfinite(value) else "-"
    return str(value)


def marked(text: str, *, met: bool) -> str:
    """Text with an asterisk where the constraints are not met; see `UNMET_LEGEND`."""
    return text if met else f"{text}*"


def percent(value: Any, digits: int = 1) -> str:
    """Fraction as a percentage, ``-`` for nothing."""
    if value is None or not math.isfinite(value):
        return "-"
    return f"{100 * value:.{digits}f} %"


def duration(seconds: float | None) -> str:
    """Readable span: ``8.1 s``, ``3 min 05 s``, ``2 h 10 min``."""
    if seconds is None or not math.isfinite(seconds):
        return "-"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def table(
    columns: Sequence[tuple[str, str]], rows: Iterable[Sequence[str]], *, title: str = ""
) -> Table:
    """Build a table.

    Parameters
    ----------
    columns : sequence of (name, justify)
        ``left``, ``right`` or ``center``.
    rows : iterable of sequences of str
        Printed literally: square brackets in them are not markup.
    title : str
    """
    from rich import box
    from rich.text import Text

    grid = Table(title=title or None, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for name, justify in columns:
        grid.add_column(name, justify=justify, overflow="fold")  # type: ignore[arg-type]
    for row in rows:
        grid.add_row(*(Text(cell) for cell in row))
    return grid
