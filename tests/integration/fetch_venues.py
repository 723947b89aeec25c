"""Small loopback exchanges that answer market data requests in the recorded shapes."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

HOUR_MS = 3_600_000


class ManualClock:
    """A clock that moves only when somebody sleeps on it."""

    def __init__(self, now_ms: int) -> None:
        self.start_ms = now_ms
        self.slept: list[float] = []

    def now_ms(self) -> int:
        return self.start_ms

    def monotonic(self) -> float:
        return sum(self.slept)

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.slept.append(seconds)


class HyperliquidVenue:
    """`meta`, `candleSnapshot` and `fundingHistory` with the venue's own limits.

    Candles: only the newest 5,000 of an interval, the one that the start falls into included,
    and the one still forming too. Funding: 500 rows a call, both bounds inclusive.
    """

    def __init__(self, now_ms: int, first_ms: int, coins: tuple[str, ...] = ("BTC", "kPEPE")):
        self.now_ms = now_ms
        self.first_ms = first_ms
        self.coins = coins
        self.requests: list[dict[str, Any]] = []
        self.faults: list[tuple[int, bytes] | str] = []

    def candle(self, ts: int, length: int) -> dict[str, Any]:
        base = 20_000 + (ts // length) % 1_000
        return {
            "t": ts,
            "T": ts + length - 1,
            "s": "BTC",
            "i": "1h",
            "o": f"{base}.0",
            "c": f"{base + 1}.0",
            "h": f"{base + 2}.5",
            "l": f"{base - 1}.5",
            "v": "3.25",
            "n": 17,
        }

    def funding_row(self, hour: int) -> dict[str, Any]:
        # settlements carry some milliseconds of delay, as recorded
        stamp = hour * HOUR_MS + hour % 400
        rate = f"{(hour % 7 - 3) * 1e-6:.8f}"
        return {"coin": "BTC", "fundingRate": rate, "premium": "0.0", "time": stamp}

    def answer(self, request: dict[str, Any]) -> Any:
        if request["type"] == "meta":
            names = [{"name": coin, "szDecimals": 3, "maxLeverage": 40} for coin in self.coins]
            return {"universe": names}
        if request["type"] == "candleSnapshot":
            wanted = request["req"]
            length = {"1h": HOUR_MS, "4h": 4 * HOUR_MS}[wanted["interval"]]
            last = self.now_ms // length * length
            oldest = max(-(-self.first_ms // length) * length, last - 4_999 * length)
            first = max(wanted["startTime"] // length * length, oldest)
            stop = min(wanted["endTime"], last)
            return [self.candle(ts, length) for ts in range(first, stop + 1, length)][:5_000]
        if request["type"] == "fundingHistory":
            low, high = request["startTime"], request.get("endTime", self.now_ms)
            start = max(self.first_ms, low - HOUR_MS) // HOUR_MS
            rows = (self.funding_row(hour) for hour in range(start, high // HOUR_MS + 1))
            return [row for row in rows if low <= row["time"] <= high][:500]
        raise AssertionError(f"unexpected request {request}")


class BinanceVenue:
    """`exchangeInfo`, `klines` and `fundingRate` of USDT perpetuals.

    With `newest` a page of funding holds a span's newest rows instead of its oldest, as Bybit's.
    Candles are looked for in `span_bars` bars from the start only, few as Coinbase's.
    """

    def __init__(
        self,
        now_ms: int,
        first_ms: int,
        *,
        funding_hours: int = 8,
        newest: bool = False,
        span_bars: int = 10_000,
    ) -> None:
        self.span_ms = span_bars * HOUR_MS
        self.funding_ms = funding_hours * HOUR_MS
        self.newest = newest
        self.now_ms = now_ms
        self.first_ms = first_ms
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.faults: list[tuple[int, bytes] | str] = []

    def answer(self, path: str, query: dict[str, str]) -> Any:
        if path == "/fapi/v1/exchangeInfo":
            return {"timezone": "UTC", "rateLimits": [], "symbols": [BTCUSDT]}
        if path == "/fapi/v1/klines":
            first = max(int(query["startTime"]), self.first_ms)
            first = -(-first // HOUR_MS) * HOUR_MS
            stop = min(int(query.get("endTime", self.now_ms)), self.now_ms)
            stop = min(stop, int(query["startTime"]) + self.span_ms - 1)
            rows = [self.kline(ts) for ts in range(first, stop + 1, HOUR_MS)]
            return rows[: min(int(query["limit"]), 1_000)]
        if path == "/fapi/v1/fundingRate":
            low, high = int(query["startTime"]), int(query["endTime"])
            first = -(-max(low, self.first_ms) // self.funding_ms) * self.funding_ms
            rows = [
                {"symbol": "BTCUSDT", "fundingTime": ts, "fundingRate": "0.00010000"}
                for ts in range(first, high + 1, self.funding_ms)
            ]
            return rows[-100:] if self.newest else rows[:100]
        raise AssertionError(f"unexpected request {path}")

    def kline(self, ts: int) -> list[Any]:
        base = 30_000 + ts // HOUR_MS % 500
        prices = [f"{base}.0", f"{base + 2}.0", f"{base - 2}.0", f"{base + 1}.0", "12.5"]
        return [ts, *prices, ts + HOUR_MS - 1, "375000.0", 9, "6.0", "180000.0", "0"]


BTCUSDT = {
    "symbol": "BTCUSDT",
    "pair": "BTCUSDT",
    "contractType": "PERPETUAL",
    "deliveryDate": 4133404800000,
    "onboardDate": 1569398400000,
    "status": "TRADING",
    "baseAsset": "BTC",
    "quoteAsset": "USDT",
    "marginAsset": "USDT",
    "pricePrecision": 2,
    "quantityPrecision": 3,
    "underlyingType": "COIN",
    "filters": [
        {"filterType": "PRICE_FILTER", "minPrice": "0.1", "maxPrice": "9999999", "tickSize": "0.1"},
        {"filterType": "LOT_SIZE", "minQty": "0.001", "maxQty": "1000", "stepSize": "0.001"},
        {"filterType": "MIN_NOTIONAL", "notional": "5"},
    ],
    "orderTypes": ["LIMIT", "MARKET"],
    "timeInForce": ["GTC"],
}


@contextmanager
def serving(venue: HyperliquidVenue | BinanceVenue) -> Iterator[str]:
    """Serve a venue on a free loopback port; gives its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(venue))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(venue: Any) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            venue.requests.append(body)
            self._reply(lambda: venue.answer(body))

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {key: values[0] for key, values in parse_qs(parts.query).items()}
            venue.requests.append((parts.path, query))
            self._reply(lambda: venue.answer(parts.path, query))

        def _reply(self, make: Callable[[], Any]) -> None:
            if venue.faults:
                fault = venue.faults.pop(0)
                if fault == "drop":
                    self.close_connection = True
                    self.connection.close()
                    return
                self._send(*fault)
                return
            self._send(200, json.dumps(make()).encode())

        def _send(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Keep the test's output clean."""

    return Handler
