"""Settings of a paper exchange as one plain value, for a file or another process."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from typing import Any

from genesis.costs.execution import ExecutionModel
from genesis.costs.model import CostModel
from genesis.domain.errors import ConfigError, refuse_unknown_keys
from genesis.domain.instrument import Instrument
from genesis.exchange.paper.desk import PartialFills
from genesis.exchange.paper.gateway import PaperGateway

_KEYS = ("instruments", "costs", "leverage", "execution", "partial", "remember", "name")


def paper_config(
    instruments: Iterable[Instrument],
    costs: CostModel,
    leverage: float,
    execution: ExecutionModel | None = None,
    partial: PartialFills | None = None,
    remember: int = 100_000,
    name: str = "paper",
) -> dict[str, Any]:
    """Settings that `paper_gateway` builds an exchange from; arguments as in `PaperGateway`."""
    return {
        "instruments": [asdict(instrument) for instrument in instruments],
        "costs": costs.plain(),
        "leverage": leverage,
        "execution": execution.plain() if execution else None,
        "partial": asdict(partial) if partial else None,
        "remember": remember,
        "name": name,
    }


def paper_gateway(config: Mapping[str, Any]) -> PaperGateway:
    """Build a paper exchange.

    Raises
    ------
    ConfigError
        For an unknown key, or a value that is missing or of the wrong kind.
    """
    refuse_unknown_keys("paper", config, _KEYS)
    try:
        instruments = [_known(Instrument, "instrument", value) for value in config["instruments"]]
        execution, partial = config.get("execution"), config.get("partial")
        return PaperGateway(
            {instrument.symbol: instrument for instrument in instruments},
            CostModel.from_plain(config["costs"]),
            float(config["leverage"]),
            None if execution is None else ExecutionModel.from_plain(execution),
            partial=None if partial is None else _known(PartialFills, "partial", partial),
            remember=int(config.get("remember", 100_000)),
            name=str(config.get("name", "paper")),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            "the settings of the paper exchange cannot be read",
            why=f"{type(error).__name__}: {error}",
            fix=f"give {', '.join(_KEYS[:3])} as written by paper_config",
        ) from None


def _known(kind: Any, section: str, value: Mapping[str, Any]) -> Any:
    refuse_unknown_keys(section, value, [f.name for f in fields(kind)])
    return kind(**value)
