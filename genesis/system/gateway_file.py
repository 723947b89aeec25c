"""What a file says of a gateway: everything but the run's own exchange, markets and accounts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from genesis.domain.broken_text import broken_text, mend
from genesis.domain.errors import ConfigError, did_you_mean, refuse_unknown_keys

OF_THE_RUN = ("state_dir", "accounts", "network", "base_url", "symbols", "name")
"""Settings that the command line and the run say themselves."""


def read_gateway(path: Path | None, foreign: str = "") -> dict[str, Any]:
    """Settings of a gateway besides those of its run.

    Parameters
    ----------
    path : Path or None
        YAML; None for the defaults.
    foreign : str
        Policy for resting orders that nobody here sent, before that of the file; empty for none.

    Raises
    ------
    ConfigError
        If the file cannot be read, or a key or value of it is none.
    """
    given = {} if path is None else _read(path)
    if foreign:
        given["foreign"] = _policy(foreign)
    return _checked(given)


def _read(path: Path) -> dict[str, Any]:
    from genesis.exchange.hyperliquid.settings import HyperliquidSettings

    form = "one setting a line, such as foreign: keep"
    try:
        text = path.read_text(encoding="utf-8")
        given = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        what, why = broken_text(str(path), text, error)
        raise ConfigError(what, why=why, fix=mend(form)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path} holds no settings of a gateway", why=str(error), fix=f"write {form}"
        ) from None
    if not isinstance(given, dict):
        raise ConfigError(
            f"{path} holds no settings of a gateway", fix="write one a line, such as foreign: keep"
        )
    known = [name for name in HyperliquidSettings.__struct_fields__ if name not in OF_THE_RUN]
    for name in OF_THE_RUN:
        if name in given:
            raise ConfigError(
                f"{path} sets {name}, which is the run's own",
                fix="leave it out; --url, --account and --symbols say it",
            )
    refuse_unknown_keys(str(path), given, known)
    return dict(given)


def _policy(foreign: str) -> str:
    from genesis.exchange.hyperliquid.settings import ForeignPolicy

    known = [one.value for one in ForeignPolicy]
    if foreign not in known:
        raise ConfigError(
            f"--foreign {foreign} is no policy{did_you_mean(foreign, known)}",
            fix=f"use {', '.join(known)}",
        )
    return foreign


def _checked(given: dict[str, Any]) -> dict[str, Any]:
    from genesis.exchange.hyperliquid.settings import settings_from

    somebody = {"name": "paper", "address": "0x" + "00" * 20}
    settings = settings_from({"state_dir": ".", "accounts": [somebody], **given})
    return {name: getattr(settings, name) for name in given}
