"""What is traded on the venue: perpetuals with their margin tables, and spot pairs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import msgspec

from genesis.exchange.venue.units import MONEY, MONEY_DECIMALS

SPOT_OFFSET = 10_000


class MarginTier(msgspec.Struct, frozen=True):
    """Largest leverage of a position from a notional on; amounts in money steps.

    ``deduction`` makes the maintenance margin continuous over the tiers.
    """

    lower: int
    max_leverage: int
    deduction: int


class Instrument(msgspec.Struct, frozen=True, kw_only=True):
    """One market of the venue.

    Attributes
    ----------
    asset : int
        Number of the market on the wire.
    coin : str
        Its name in data: ``BTC``, ``PURR/USDC``, ``@1``.
    sz_decimals : int
    start_price : str
        Price at which a synthetic market starts.
    max_leverage, margin_table, only_isolated, delisted
        As in the perpetuals' meta.
    tiers : tuple of MarginTier
        From the margin table; empty for spot.
    base, quote : int
        Tokens of a spot pair, by index.
    """

    asset: int
    coin: str
    sz_decimals: int
    start_price: str
    max_leverage: int = 1
    margin_table: int = 0
    only_isolated: bool = False
    delisted: bool = False
    tiers: tuple[MarginTier, ...] = ()
    base: int = -1
    quote: int = -1

    @property
    def spot(self) -> bool:
        """Whether this is a spot pair."""
        return self.base >= 0

    @property
    def px_decimals(self) -> int:
        """Decimals of the integer grid of prices."""
        return MONEY_DECIMALS - self.sz_decimals

    @property
    def coarsest(self) -> int:
        """Grid steps of the smallest legal price step."""
        return 1 if self.spot else 100


class Token(msgspec.Struct, frozen=True):
    """A spot token."""

    name: str
    index: int
    sz_decimals: int
    wei_decimals: int


class VenueMeta(msgspec.Struct, frozen=True):
    """The markets of a venue and their description on the wire.

    Attributes
    ----------
    perps, pairs : tuple of Instrument
        Perpetuals by asset number; spot pairs by index.
    tokens : tuple of Token
    tables : dict
        Margin tables by number: (description, ((lower bound in dollars, leverage), …)).
    """

    perps: tuple[Instrument, ...]
    pairs: tuple[Instrument, ...]
    tokens: tuple[Token, ...]
    tables: dict[int, tuple[str, tuple[tuple[int, int], ...]]]

    @staticmethod
    def default() -> VenueMeta:
        """Return the venue's own twenty perpetuals and three spot pairs."""
        perps = tuple(_perp(number, *row) for number, row in enumerate(_PERPS))
        pairs = tuple(
            Instrument(
                asset=SPOT_OFFSET + index,
                coin=f"{_TOKENS[base].name}/USDC" if index == 0 else f"@{index}",
                sz_decimals=_TOKENS[base].sz_decimals,
                start_price=price,
                base=base,
                quote=0,
            )
            for index, (base, price) in enumerate(_PAIRS)
        )
        return VenueMeta(perps=perps, pairs=pairs, tokens=_TOKENS, tables=_TABLES)

    def listing(self, prices: Mapping[str, float]) -> VenueMeta:
        """Return the same markets and, behind them, a perpetual for each further coin.

        A larger price gets finer sizes, as on the real exchange: about a thousandth of a coin at
        1,000 dollars.

        Parameters
        ----------
        prices : mapping of str to float
            A price of each coin, quote units.
        """
        fresh = tuple(
            _perp(
                len(self.perps) + number,
                coin,
                min(max(math.ceil(math.log10(price)), 0), 5),
                20,
                20,
                f"{price:.6g}",
            )
            for number, (coin, price) in enumerate(prices.items())
        )
        return msgspec.structs.replace(self, perps=self.perps + fresh)

    def instruments(self) -> tuple[Instrument, ...]:
        """Return perpetuals, then spot pairs."""
        return self.perps + self.pairs

    def meta(self) -> dict[str, Any]:
        """Return the answer to ``meta``."""
        return {
            "universe": [_universe_entry(perp) for perp in self.perps],
            "marginTables": [
                [
                    number,
                    {
                        "description": text,
                        "marginTiers": [
                            {"lowerBound": f"{lower}.0", "maxLeverage": leverage}
                            for lower, leverage in tiers
                        ],
                    },
                ]
                for number, (text, tiers) in sorted(self.tables.items())
            ],
            "collateralToken": 0,
        }

    def spot_meta(self) -> dict[str, Any]:
        """Return the answer to ``spotMeta``."""
        return {
            "universe": [
                {
                    "tokens": [pair.base, pair.quote],
                    "name": pair.coin,
                    "index": pair.asset - SPOT_OFFSET,
                    "isCanonical": not pair.coin.startswith("@"),
                }
                for pair in self.pairs
            ],
            "tokens": [_token_entry(token) for token in self.tokens],
        }


def deductions(tiers: tuple[tuple[int, int], ...]) -> tuple[MarginTier, ...]:
    """Give each tier the deduction that makes maintenance margin continuous.

    The maintenance rate of a tier is half of the initial rate at its largest leverage, and
    ``deduction[n] = deduction[n - 1] + lower[n] * (rate[n] - rate[n - 1])``.
    """
    out: list[MarginTier] = []
    total, previous = Fraction(0), Fraction(0)
    for lower, leverage in tiers:
        rate = Fraction(1, 2 * leverage)
        if out:
            total += lower * (rate - previous)
        out.append(MarginTier(lower * MONEY, leverage, int(total * MONEY)))
        previous = rate
    return tuple(out)


def _perp(
    asset: int,
    coin: str,
    sz_decimals: int,
    max_leverage: int,
    table: int,
    price: str,
    flag: str = "",
) -> Instrument:
    tiers = _TABLES[table][1] if table in _TABLES else ((0, table),)
    return Instrument(
        asset=asset,
        coin=coin,
        sz_decimals=sz_decimals,
        start_price=price,
        max_leverage=max_leverage,
        margin_table=table,
        only_isolated=flag == "isolated",
        delisted=flag == "delisted",
        tiers=deductions(tiers),
    )


def _universe_entry(perp: Instrument) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "szDecimals": perp.sz_decimals,
        "name": perp.coin,
        "maxLeverage": perp.max_leverage,
        "marginTableId": perp.margin_table,
    }
    if perp.only_isolated:
        entry["onlyIsolated"] = True
    if perp.delisted:
        entry["isDelisted"] = True
    return entry


def _token_entry(token: Token) -> dict[str, Any]:
    return {
        "name": token.name,
        "szDecimals": token.sz_decimals,
        "weiDecimals": token.wei_decimals,
        "index": token.index,
        "tokenId": f"0x{token.index + 0x6D1E7CDE:032x}",
        "isCanonical": token.index < 2,
        "evmContract": None,
        "fullName": None,
        "deployerTradingFeeShare": "0.0",
    }


# A table number below 50 stands for one tier of that leverage.
_TABLES: dict[int, tuple[str, tuple[tuple[int, int], ...]]] = {
    50: ("", ((0, 50),)),
    51: ("tiered 10x", ((0, 10), (3_000_000, 5))),
    52: ("tiered 10x (2)", ((0, 10), (20_000_000, 5))),
    53: ("tiered 20x", ((0, 20), (40_000_000, 10))),
    54: ("tiered 20x (2)", ((0, 20), (70_000_000, 10))),
    55: ("tiered 25x", ((0, 25), (100_000_000, 15))),
    56: ("tiered 40x", ((0, 40), (150_000_000, 20))),
}
_PERPS: tuple[tuple[Any, ...], ...] = (
    ("BTC", 5, 40, 56, "60000"),
    ("ETH", 4, 25, 55, "3000"),
    ("ATOM", 2, 5, 5, "4.4"),
    ("MATIC", 1, 20, 20, "0.37", "delisted"),
    ("DYDX", 1, 5, 5, "0.62"),
    ("SOL", 2, 20, 54, "150"),
    ("AVAX", 2, 10, 51, "25"),
    ("BNB", 3, 10, 51, "600"),
    ("XRP", 0, 20, 53, "0.6"),
    ("DOGE", 0, 10, 52, "0.12"),
    ("LINK", 1, 10, 51, "14"),
    ("ARB", 1, 10, 51, "0.8"),
    ("OP", 1, 10, 51, "1.7"),
    ("LTC", 2, 10, 51, "80"),
    ("SUI", 1, 10, 52, "1.9"),
    ("kPEPE", 0, 10, 52, "0.011"),
    ("APT", 2, 10, 51, "8"),
    ("INJ", 1, 10, 51, "22"),
    ("HYPE", 2, 10, 52, "30"),
    ("CANTO", 0, 3, 3, "0.2", "isolated"),
)
_TOKENS = (
    Token("USDC", 0, 8, 8),
    Token("PURR", 1, 0, 5),
    Token("HYPE", 2, 2, 8),
    Token("UBTC", 3, 5, 10),
)
_PAIRS = ((1, "0.15"), (2, "30"), (3, "60000"))
