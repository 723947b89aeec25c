"""The simulated market: one path per seed, continuous over its blocks, resumable anywhere."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from genesis.domain.errors import DataError
from genesis.domain.timeline import MINUTE_MS
from genesis.trading.feeds.synthetic import REGIMES, SimulatedMarket, SyntheticFeed
from genesis.trading.payloads import BarClosed, BarOpened, CandlesReady, FundingDue, Quote, encode


def market(**options: object) -> SimulatedMarket:
    given: dict[str, object] = {
        "symbols": ("BTC", "ETH", "SOL"),
        "interval": "1m",
        "seed": 7,
        "block": 40,
        "bars": 130,
    }
    return SimulatedMarket(**{**given, **options})  # type: ignore[arg-type]


def written(feed: SyntheticFeed, start_ms: int | None = None) -> list[tuple[int, list[bytes]]]:
    return [(p.ts_ms, [encode(e.data) for e in p.events]) for p in feed.phases(start_ms)]


@pytest.mark.parametrize("quotes", [0, 2])
def test_a_start_in_between_is_the_rest_of_the_whole(quotes: int) -> None:
    whole = written(SyntheticFeed(market(), quotes))
    minute = {ts // 20_000 * 20_000 for ts, _ in whole}
    for start in sorted(minute)[::7]:
        feed = SyntheticFeed(market(), quotes)  # knows nothing of the blocks before
        left = [row for row in whole if row[0] >= start]
        assert written(feed, start) == left
        assert feed.count_before(start) == len(whole) - len(left)
    assert SyntheticFeed(market(), quotes).total == len(whole)


def test_a_bounded_market_is_the_beginning_of_the_endless_one() -> None:
    bounded = written(SyntheticFeed(market()))
    endless = SyntheticFeed(market(bars=None))
    begin = [
        (p.ts_ms, [encode(e.data) for e in p.events])
        for p in islice(endless.phases(), len(bounded))
    ]
    assert begin == bounded
    assert endless.total is None
    assert endless.end_ms is None


def test_every_bar_of_every_symbol_comes_once_and_opens_at_the_last_close() -> None:
    closes: dict[str, list[float]] = {"BTC": [], "ETH": [], "SOL": []}
    ready = 0
    for phase in SyntheticFeed(market()).phases():
        for event in phase.events:
            data = event.data
            if isinstance(data, BarOpened):
                done = closes[data.symbol]
                assert data.open_ms == market().start_ms + len(done) * MINUTE_MS
                assert data.open == pytest.approx(done[-1] if done else 100.0, rel=1e-12)
            elif isinstance(data, BarClosed):
                closes[data.symbol].append(data.close)
                assert 0 < data.low <= min(data.open, data.close)
                assert data.high >= max(data.open, data.close)
            elif isinstance(data, CandlesReady):
                ready += 1
                assert data.symbols == ("BTC", "ETH", "SOL")
    assert [len(done) for done in closes.values()] == [130] * 3
    assert ready == 130


def test_regimes_differ_in_volatility_and_all_of_them_come() -> None:
    long = market(block=400, bars=400 * 40, correlation=0.0)
    sds: dict[str, list[float]] = {regime.name: [] for regime in REGIMES}
    feed = SyntheticFeed(long)
    for block in range(40):
        panel = feed.block(block)
        assert panel is not None
        moves = np.diff(np.log(panel.symbols[0].close))
        sds[long.regime(block).name].append(float(moves.std()))
    assert all(sds.values())
    mean = {name: np.mean(found) for name, found in sds.items()}
    assert mean["calm"] < 0.75 * mean["normal"]
    assert mean["wild"] > 1.4 * mean["normal"]


def test_funding_goes_on_over_blocks() -> None:
    feed = SyntheticFeed(market(interval="1h", block=8, bars=48))
    rates = [e for p in feed.phases() for e in p.events if isinstance(e.data, FundingDue)]
    settled = {e.ts_ms for e in rates}
    begin = market().start_ms
    assert settled == {begin + k * 8 * 3_600_000 for k in range(1, 6)}  # not at the very first bar
    assert len(rates) == 3 * len(settled)


def test_blocks_have_bars_of_their_own() -> None:
    feed = SyntheticFeed(market(regimes=REGIMES[:1]))
    moves = []
    for block in (0, 1):
        panel = feed.block(block)
        assert panel is not None
        moves.append(np.diff(np.log(panel.symbols[0].close)))
    assert abs(np.corrcoef(*moves)[0, 1]) < 0.6


def test_quotes_are_there_when_asked_for() -> None:
    kinds = [type(e.data) for p in SyntheticFeed(market(bars=2), 5).phases() for e in p.events]
    assert kinds.count(Quote) == 2 * 3 * 5


def test_seeds_and_symbols_differ() -> None:
    one, other = (SyntheticFeed(market(seed=seed)).block(0) for seed in (1, 2))
    assert one is not None
    assert other is not None
    assert not np.array_equal(one.symbols[0].close, other.symbols[0].close)
    assert not np.array_equal(one.symbols[0].close, one.symbols[1].close)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"symbols": ()}, "needs symbols"),
        ({"symbols": ("A", "A")}, "each once"),
        ({"bars": 0}, "bars must"),
        ({"block": 0}, "block must"),
        ({"regimes": ()}, "regime"),
        ({"sigma": 0.15}, "sigma must"),
        ({"start_ms": 1}, "grid"),
    ],
)
def test_an_impossible_market_is_refused(options: dict[str, object], words: str) -> None:
    with pytest.raises(DataError, match=words):
        market(**options)
