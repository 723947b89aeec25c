"""Command lines for missing bars: each one, typed as it is printed, brings them in."""

from __future__ import annotations

from pathlib import Path

import pytest

from genesis.domain.errors import DataError, InputError
from genesis.market.dataset import require_stored
from genesis.market.dataset_spec import parse
from genesis.market.recipes import DEMO_INTERVAL
from genesis.market.sources.fetch import source_for
from genesis.market.sources.synthetic import SynthSpec, synthesize, write
from genesis.market.store import BarStore
from genesis.system import demo
from genesis.system.clock import SystemClock


@pytest.fixture
def store(tmp_path: Path) -> BarStore:
    """A store with two synthetic symbols at 1h."""
    made = BarStore(tmp_path)
    write(made, SynthSpec(assets=2, bars=300, interval="1h", seed=1))
    return made


def fix(store: BarStore, text: str) -> str:
    with pytest.raises(DataError) as caught:
        require_stored(store, parse(text))
    return caught.value.fix


def test_bars_shorter_than_the_stored_market_need_another_workspace_or_replace(
    store: BarStore,
) -> None:
    told = fix(store, "synth:SYN1,SYN2:1m")
    assert "genesis --home ANOTHER data synth --assets 2 --interval 1m" in told
    assert "genesis data synth --assets 2 --interval 1m --replace" in told
    assert "or use synth:SYN1,SYN2:1h" in told
    write(store, SynthSpec(assets=2, bars=300, interval="1m", seed=1), replace=True)
    assert require_stored(store, parse("synth:SYN1,SYN2:1m"))


def test_bars_longer_than_the_stored_market_are_made_of_it_first(store: BarStore) -> None:
    assert "genesis data resample synth:SYN1,SYN2:1h 4h" in fix(store, "synth:SYN1,SYN2:4h")


def test_a_symbol_is_made_by_its_own_number(tmp_path: Path, store: BarStore) -> None:
    assert "genesis data synth --assets 9 --interval 1m\n" in (
        fix(BarStore(tmp_path / "empty"), "synth:SYN9:1m") + "\n"
    )
    told = fix(store, "synth:SYN9:1m")
    assert "data synth --assets 9 --interval 1m --replace" in told
    assert "what is stored of synth: SYN1, SYN2" in told


def test_what_no_synthetic_market_has_is_not_promised(store: BarStore) -> None:
    told = fix(store, "synth:BTC:1h")
    assert "data synth" not in told
    assert "what is stored of synth: SYN1, SYN2" in told


def test_a_demo_makes_its_venue_and_no_exchange_is_asked(tmp_path: Path) -> None:
    assert DEMO_INTERVAL == demo.INTERVAL
    store = BarStore(tmp_path)
    told = fix(store, "demo-7:DEMO1:4h")
    assert "genesis demo --seed 7" in told
    assert "fetch" not in told
    for one in synthesize(SynthSpec(assets=1, bars=300, interval="4h", seed=7)):
        store.write_bars("demo-7", "DEMO1", "4h", one.bars)
    told = fix(store, "demo-7:DEMO1:1h")
    assert "genesis demo" not in told
    assert "or use demo-7:DEMO1:4h" in told
    assert "data resample demo-7:DEMO1:4h 8h" in fix(store, "demo-7:DEMO1:8h")


def test_only_exchanges_are_fetched_from(tmp_path: Path) -> None:
    store = BarStore(tmp_path)
    assert "genesis data fetch binance_perp:A:1h" in fix(store, "binance_perp:A:1h")
    told = fix(store, "my-broker:A:1h")
    assert "data fetch" not in told
    assert "genesis data import FILE --venue my-broker --symbol A --interval 1h" in told
    with pytest.raises(InputError, match="'demo-7' is no exchange") as caught:
        source_for("demo-7", SystemClock(), lambda _: None)
    assert caught.value.fix == "make its bars with genesis demo --seed 7"
