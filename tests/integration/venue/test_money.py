"""Money over the wire: fills, fees, positions and liquidation against exact fractions."""

from __future__ import annotations

import random
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import pytest
from eth_account.signers.local import LocalAccount
from hyperliquid.exchange import Exchange

from benchmarks.venue_process import signed
from genesis.exchange.venue.limits import LimitProfile
from tests.integration.venue.rig import GTC, IOC, Rig, now_ms, rig
from tests.oracle.venue_ledger import Ledger, liquidated_at

COINS = ("BTC", "ETH", "SOL", "kPEPE", "BNB")
MICRO = Fraction(1, 10**6)
PAID_IN = 100_000_000
BATCH = 20


def ask(venue: Rig, kind: str, **more: Any) -> Any:
    return venue.post("/info", {"type": kind, **more}).json()


class Crowd:
    """Three accounts that trade at random with each other on five markets."""

    def __init__(self, venue: Rig, seed: int) -> None:
        self.venue = venue
        self.dice = random.Random(seed)
        self.wallets = [venue.wallet(str(PAID_IN)) for _ in range(3)]
        self.nonce = now_ms()
        meta = ask(venue, "meta")["universe"]
        self.assets = {row["name"]: (n, row["szDecimals"]) for n, row in enumerate(meta)}
        self.start = {coin: Fraction(px) for coin, px in ask(venue, "allMids").items()}

    def send(self, wallet: LocalAccount, action: dict[str, Any]) -> Any:
        self.nonce += 1
        answer = self.venue.post("/exchange", signed(wallet, action, self.nonce)).json()
        assert answer["status"] == "ok", answer
        return answer["response"]

    def order(self) -> dict[str, Any]:
        coin = self.dice.choice(COINS)
        asset, decimals = self.assets[coin]
        start = self.start[coin]
        tick = Fraction(10) ** (len(str(int(start))) - 5) if start >= 1 else MICRO
        px = round(start / tick) * tick + self.dice.randint(-20, 20) * tick
        value = self.dice.choice((30, 300, 3_000, 30_000))
        size = Fraction(round(value / start * 10**decimals), 10**decimals)
        return {
            "a": asset,
            "b": self.dice.random() < 0.5,
            "p": f"{float(px):.10g}",
            "s": f"{float(size):.{decimals}f}".rstrip("0").rstrip(".") or "0",
            "r": False,
            "t": self.dice.choice((GTC, GTC, IOC)),
        }

    def trade(self, fills: int) -> None:
        """Send batches until there are so many fills, counted on both sides."""
        while sum(len(all_fills(self.venue, w.address)) for w in self.wallets) < fills:
            for _ in range(max(fills // BATCH // 10, 5)):
                rows = [self.order() for _ in range(BATCH)]
                action = {"type": "order", "orders": rows, "grouping": "na"}
                self.send(self.dice.choice(self.wallets), action)


def all_fills(venue: Rig, user: str) -> list[Any]:
    """Every fill, by pages: inclusive bounds, at most 2000 each."""
    seen: dict[int, Any] = {}
    since = 0
    while True:
        page = ask(venue, "userFillsByTime", user=user, startTime=since)
        fresh = [row for row in page if row["tid"] not in seen]
        if not fresh:
            return list(seen.values())
        seen.update((row["tid"], row) for row in fresh)
        since = page[-1]["time"]


def held(state: Any) -> dict[str, Any]:
    return {row["position"]["coin"]: row["position"] for row in state["assetPositions"]}


@pytest.mark.parametrize("fills", [1_000, pytest.param(10_000, marks=pytest.mark.slow)])
def test_check_21_random_fills_agree_with_a_ledger_of_exact_fractions(fills: int) -> None:
    with rig(limits=LimitProfile.unlimited()) as venue:
        crowd = Crowd(venue, 5)
        isolated = {"type": "updateLeverage", "asset": crowd.assets["SOL"][0], "isCross": False}
        for wallet in crowd.wallets[:2]:
            crowd.send(wallet, isolated | {"leverage": 5})
        crowd.trade(fills)
        contexts = ask(venue, "metaAndAssetCtxs")
        names = [row["name"] for row in contexts[0]["universe"]]
        marks = {n: Fraction(c["markPx"]) for n, c in zip(names, contexts[1], strict=True)}
        paid, flips, total, values = Fraction(0), 0, 0, Fraction(0)
        for wallet in crowd.wallets:
            ledger = Ledger(Fraction(PAID_IN))
            rows = all_fills(venue, wallet.address)
            for row in rows:
                expected = ledger.take(row)
                assert Fraction(row["startPosition"]) == expected["start"]
                assert row["dir"] == expected["dir"]
                assert abs(Fraction(row["closedPnl"]) - expected["pnl"]) <= MICRO
                assert 0 <= expected["fee"] - Fraction(row["fee"]) < MICRO
                flips += ">" in row["dir"]
                paid += Fraction(row["fee"])
            state = ask(venue, "clearinghouseState", user=wallet.address)
            positions = held(state)
            assert {c: Fraction(p["szi"]) for c, p in positions.items()} == {
                coin: lot.size for coin, lot in ledger.lots.items() if lot.size
            }
            for coin, position in positions.items():
                lot, decimals = ledger.lots[coin], crowd.assets[coin][1]
                grid = Fraction(1, 10 ** (6 - decimals))
                assert abs(Fraction(position["entryPx"]) - lot.entry) <= grid / 2
                profit = (marks[coin] - lot.entry) * lot.size
                assert abs(Fraction(position["unrealizedPnl"]) - profit) <= MICRO
            value = Fraction(state["marginSummary"]["accountValue"])
            # Fees are cut to millionths: the only difference between the two equities.
            assert 0 <= value - ledger.equity(marks) <= len(rows) * MICRO
            total, values = total + len(rows), values + value
        assert total >= fills
        assert flips > 20
        assert values == 3 * PAID_IN - paid, "money is neither made nor lost"


def tiers_of(venue: Rig, coin: str) -> Sequence[tuple[int, int]]:
    """Margin tiers of a market, as its meta tells them: lower bound and leverage."""
    meta = ask(venue, "meta")
    (row,) = [row for row in meta["universe"] if row["name"] == coin]
    tables = dict(meta["marginTables"])
    if row["marginTableId"] not in tables:
        return [(0, row["maxLeverage"])]
    tiers = tables[row["marginTableId"]]["marginTiers"]
    return [(int(float(one["lowerBound"])), one["maxLeverage"]) for one in tiers]


@pytest.mark.parametrize("cross", [True, False], ids=["cross", "isolated"])
@pytest.mark.parametrize("buy", [True, False], ids=["long", "short"])
@pytest.mark.parametrize("size", [20.0, 60_000.0], ids=["first tier", "second tier"])
def test_check_23_liquidation_comes_at_the_price_of_the_formula(
    venue: Rig, cross: bool, buy: bool, size: float
) -> None:
    rich = venue.trader("1000000000")
    poor = venue.trader("20000" if size == 20.0 else "30000000")
    tiers = tiers_of(venue, "ETH")
    assert len(tiers) > 1
    assert (size * 3_000 > tiers[1][0]) == (size > 20.0)
    poor.update_leverage(10, "ETH", is_cross=cross)
    rich.order("ETH", not buy, size, 3_000, GTC)
    poor.order("ETH", buy, size, 3_000, IOC)
    state = ask(venue, "clearinghouseState", user=poor.wallet.address)
    position = held(state)["ETH"]
    raw = state["crossMarginSummary"]["totalRawUsd"] if cross else position["leverage"]["rawUsd"]
    expected = liquidated_at(Fraction(raw), Fraction(position["szi"]), list(tiers), Fraction(3_000))
    level = Fraction(position["liquidationPx"])
    assert expected is not None
    assert abs(level - expected) <= expected * Fraction(1, 10**9) + Fraction(2, 10**6)
    # The next tenths of a dollar on both sides of it.
    below, above = float(int(level * 10)) / 10, float(int(level * 10) + 1) / 10
    spared, beyond = (above, below) if buy else (below, above)
    third = venue.trader("1000000000")
    third.order("ETH", buy, size, beyond, GTC)
    venue.control("price", {"coin": "ETH", "px": f"{spared:g}"})
    assert abs(float(held_by(venue, poor))) == size
    venue.control("price", {"coin": "ETH", "px": f"{beyond:g}"})
    rows = [row for row in all_fills(venue, poor.wallet.address) if "liquidation" in row]
    sold = sum(float(row["sz"]) for row in rows)
    # Above 100,000 dollars a fifth goes first.
    assert sold == pytest.approx(size / 5 if size * beyond > 100_000 else size)
    mode, name = ("Cross" if cross else "Isolated"), ("Long" if buy else "Short")
    assert {row["dir"] for row in rows} == {f"Liquidated {mode} {name}"}
    (other,) = all_fills(venue, third.wallet.address)[:1]
    assert other["liquidation"]["liquidatedUser"] == poor.wallet.address.lower()


def held_by(venue: Rig, trader: Exchange) -> str:
    state = ask(venue, "clearinghouseState", user=trader.wallet.address)
    return str(held(state).get("ETH", {"szi": "0"})["szi"])
