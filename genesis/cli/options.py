"""Options that many commands share."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

_SETTING = re.compile(r"^evaluation\.(\w+) = ")

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
SeedPaths = Annotated[
    list[Path] | None,
    typer.Option("--path", help="File or folder with families of your own; may be repeated."),
]

Sizing = Annotated[
    str,
    typer.Option(
        "--sizing",
        metavar="METHOD",
        help="strategy: its own size; fixed, kelly, volatility_adjusted, risk_parity or evolved: "
        "the sizer makes entries smaller.",
    ),
]


@contextmanager
def naming_options() -> Iterator[None]:
    """Errors about the evaluation's values name the options that set them."""
    from genesis.domain.errors import ConfigError

    try:
        yield
    except ConfigError as error:
        what = _SETTING.sub(lambda found: f"--{found[1].replace('_', '-')} ", error.what)
        raise ConfigError(what, why=error.why, fix=error.fix) from None


def not_empty(value: str | None) -> str | None:
    """Refuse an empty name, which is the beginning of every id.

    Raises
    ------
    InputError
    """
    if value is not None and not value.strip():
        from genesis.domain.errors import InputError

        raise InputError(
            "an empty name means nothing",
            fix="write an id or its beginning: genesis runs list, genesis strategies list",
        )
    return value


def home_of(ctx: typer.Context) -> Path:
    """Workspace folder that the root command chose; it need not exist yet.

    Raises
    ------
    InputError
        If it is something else than a folder.
    """
    from genesis.system.workspace import Workspace

    home = ctx.find_root().obj
    assert isinstance(home, Path)
    Workspace(home).require_folder()
    return home
