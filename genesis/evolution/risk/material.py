"""What a campaign works on, frozen in its folder when it begins: bars, law, strategies, hashes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from genesis.backtest.setup import EvaluationSetup
from genesis.costs.model import CostModel
from genesis.domain.canonical import content_hash
from genesis.domain.errors import DataError, RefusedError, StorageError
from genesis.evolution.checkpoint import refuse_change
from genesis.evolution.files import read_json, write_json
from genesis.evolution.identity import source_hash
from genesis.evolution.openings import sealed_bases
from genesis.evolution.risk.config import RiskConfig
from genesis.evolution.risk.law import MarketLaw, market_law
from genesis.evolution.risk.scenario import AccountSettings
from genesis.evolution.risk.source import source_market
from genesis.evolution.risk.strategies import Found, gather
from genesis.evolution.seals import SealRegistry
from genesis.evolution.work import StudyJob
from genesis.market.dataset import DatasetSpec, load, split_sealed
from genesis.market.panel import Panel
from genesis.market.store import BarStore

SCHEMA = 1
_HASHES = ("config_hash", "dataset_hash", "code_hash")
_SOURCES = (
    "domain",
    "market",
    "costs",
    "strategy",
    "risk",
    "backtest",
    "validation",
    "evolution",
)
_MEMORY = 512 * 2**20


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """What a campaign works on.

    Attributes
    ----------
    panel : Panel
        Searched bars of the symbols in use; the sealed tail is cut off.
    law : MarketLaw
    strategies : tuple of Found
    notes : tuple of str
        What a reader of the result should know.
    facts : mapping
        Hashes and spans, plain JSON.
    """

    panel: Panel
    law: MarketLaw
    strategies: tuple[Found, ...]
    notes: tuple[str, ...]
    facts: Mapping[str, Any]


def code_hash() -> str:
    """SHA-256 over the sources that a campaign's numbers depend on."""
    return source_hash(*_SOURCES)


def account_settings(config: RiskConfig, interval_ms: int) -> AccountSettings:
    """How accounts trade in a campaign's scenarios."""
    costs, scenarios = config.costs, config.scenarios
    return AccountSettings(
        capital=costs.capital,
        exposure=scenarios.exposure,
        taker=costs.taker,
        maker=costs.maker,
        slippage=costs.slippage,
        leverage=costs.leverage,
        interval_ms=interval_ms,
        warm_up=scenarios.warm_up,
        bars=scenarios.bars,
        books=scenarios.books,
    )


def _searched(config: RiskConfig, home: Path, campaign: str) -> tuple[Panel, Panel]:
    """The dataset, and its searched part with the symbols in use.

    Raises
    ------
    RefusedError
        If the searched part reaches into bars that a study sealed.
    """
    data = config.dataset
    spec = DatasetSpec.of(
        data.venue,
        data.symbols,
        data.interval,
        data.start,
        data.end,
        funding=data.funding,
        sentiment=data.sentiment,
    )
    whole = load(BarStore(home / "data"), spec)
    search, _ = split_sealed(whole, config.sealed_share)
    span = (int(search.ts_ms[0]), int(search.ts_ms[-1]) + whole.interval_ms)
    end_ms = int(whole.ts_ms[-1]) + whole.interval_ms
    SealRegistry(home / "seals.json").refuse_overlap(campaign, sealed_bases(whole), span, end_ms)
    places = source_market(search, config.scenarios.most_symbols).places
    used = replace(search, symbols=tuple(search.symbols[place] for place in places))
    return whole, used


def begin_material(config: RiskConfig, home: Path, campaign: str, folder: Path) -> Material:
    """Load the bars, gather the strategies, measure the market, and freeze all of it.

    Raises
    ------
    InputError
        If data are missing or too short, or too few strategies trade on them.
    RefusedError
        If the searched part reaches into bars that a study sealed.
    """
    whole, used = _searched(config, home, campaign)
    costs = config.costs
    setup = EvaluationSetup(
        costs=CostModel(taker=costs.taker, maker=costs.maker, slippage=costs.slippage),
        capital=costs.capital,
        leverage=costs.leverage,
    )
    setup.require_margin(s.instrument for s in used.symbols)
    scenarios = config.scenarios
    found, notes = gather(home, used, setup, scenarios.strategies, scenarios.warm_up, config.seed)
    law = market_law(source_market(used, len(used.symbols)), used.interval_ms)
    left_out = [s.symbol for s in whole.symbols if s.symbol not in {u.symbol for u in used.symbols}]
    if left_out:
        notes.append(f"not used, by number or for want of bars: {', '.join(left_out)}")
    facts = {
        "config_hash": config.config_hash,
        "dataset_hash": whole.dataset_hash,
        "code_hash": code_hash(),
        "dataset": whole.name,
        "symbols": [s.symbol for s in used.symbols],
        "searched_ms": [int(used.ts_ms[0]), int(used.ts_ms[-1]) + used.interval_ms],
        "strategies_hash": content_hash([f.to_plain() for f in found]),
    }
    body = {
        "schema": SCHEMA,
        "config": config.to_plain(),
        "facts": facts,
        "law": law.to_plain(),
        "strategies": [f.to_plain() for f in found],
        "notes": notes,
    }
    write_json(folder / "campaign.json", {**body, "digest": content_hash(body)})
    return Material(used, law, tuple(found), tuple(notes), facts)


def read_campaign(folder: Path) -> dict[str, Any]:
    """What was frozen when a campaign began.

    Raises
    ------
    StorageError
        If it cannot be read.
    RefusedError
        If it was changed.
    """
    path = folder / "campaign.json"
    plain: Any = read_json(path)
    if not isinstance(plain, dict) or plain.get("schema") != SCHEMA:
        raise StorageError(f"{path} is no campaign of a known schema", fix="start a new campaign")
    body = {key: value for key, value in plain.items() if key != "digest"}
    if content_hash(body) != plain.get("digest"):
        raise RefusedError(f"{path} was changed after it was written", fix="start a new campaign")
    return body


def resume_material(config: RiskConfig, home: Path, campaign: str, folder: Path) -> Material:
    """Material of a campaign that was interrupted, for the same configuration, data and code.

    Raises
    ------
    RefusedError
        If anything is not what it began with.
    """
    body = read_campaign(folder)
    whole, used = _searched(config, home, campaign)
    now = {
        "config_hash": config.config_hash,
        "dataset_hash": whole.dataset_hash,
        "code_hash": code_hash(),
    }
    refuse_change(now, {name: body["facts"][name] for name in _HASHES})
    if [s.symbol for s in used.symbols] != body["facts"]["symbols"]:
        raise DataError("the dataset's symbols are not those that the campaign began with")
    return Material(
        used,
        MarketLaw.from_plain(body["law"]),
        tuple(Found.from_plain(plain) for plain in body["strategies"]),
        tuple(body["notes"]),
        body["facts"],
    )


def job_of(material: Material, config: RiskConfig) -> StudyJob:
    """What workers need once."""
    settings = account_settings(config, material.panel.interval_ms)
    return StudyJob(
        panel=material.panel,
        setup={
            "account": asdict(settings),
            "law": material.law.to_plain(),
            "strategies": [f.to_plain() for f in material.strategies],
            "seed": config.seed,
        },
        memory_bytes=_MEMORY,
    )
