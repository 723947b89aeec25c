"""What `genesis events` shows: events as lines and cells, and how far long work is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console

from genesis.cli import render

if TYPE_CHECKING:
    from genesis.trading.events import Event

COLUMNS = [("seq", "right"), ("time", "left"), ("type", "left"), ("about", "left")]
COLUMNS += [("flow", "left"), ("cause", "right"), ("content", "left")]
_LINE_EVERY = 250_000
OPERATIONS: Final = "operations"
"""Name of the log of operations among those of trading runs."""


def log_folder(home: Path, name: str) -> Path:
    """Folder of the log that a name means: the log of operations, else a trading run.

    Raises
    ------
    InputError
        If there is none, or more than one.
    """
    from genesis.decision.operations import FOLDER
    from genesis.domain.errors import InputError
    from genesis.trading.run_folders import find_run
    from genesis.trading.store.schema import FILE

    if name != OPERATIONS:
        return find_run(home, name)
    folder = home / FOLDER
    if not (folder / FILE).is_file():
        raise InputError(
            f"there is no log of operations in {home}",
            why=f"{folder / FILE} is missing: nothing was decided or deployed here, or it was"
            " deleted",
            fix=f"restore {folder} from a backup if something was deployed; genesis promote makes"
            " a new one",
        )
    return folder


def json_line(event: Event) -> None:
    """Print an event as a JSON object on a line."""
    from genesis.trading.store import plain_event

    render.emit({"event": plain_event(event)})


def text_line(out: Console) -> Callable[[Event], None]:
    """Return a function that prints an event on a line."""

    def show(event: Event) -> None:
        seq, at, kind, about, _, _, content = cells(event)
        out.print(f"{seq:>8}  {at}  {kind:24}  {about}  {content}", markup=False)

    return show


def cells(event: Event) -> tuple[str, ...]:
    """Cells of a row of the table with `COLUMNS`."""
    import msgspec

    fields = msgspec.to_builtins(event.data)
    content = " ".join(f"{name}={_short(value)}" for name, value in fields.items())
    cause = str(event.caused_by) if event.caused_by else ""
    number, at = str(event.seq), _instant(event.ts_ms)
    return number, at, event.type.value, event.aggregate, event.correlation, cause, content


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _instant(ts_ms: int) -> str:
    moment = datetime.fromtimestamp(ts_ms / 1000, tz=UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{ts_ms % 1000:03d}Z"


@contextmanager
def progress(title: str, *, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """Show how far it is: a bar on a terminal, now and then a line elsewhere, on stderr."""
    out = render.console(stderr=True)
    if quiet:
        yield lambda _done, _total: None
    elif not out.is_terminal:
        yield _lines(out, title)
    else:
        from rich.progress import Progress

        with Progress(console=out, transient=True) as bar:
            task = bar.add_task(title, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)


def _lines(out: Console, title: str) -> Callable[[int, int], None]:
    shown = 0

    def step(done: int, total: int) -> None:
        nonlocal shown
        if done - shown >= _LINE_EVERY:
            shown = done
            out.print(f"{title}: {done:,} of {total:,} events", markup=False)

    return step
