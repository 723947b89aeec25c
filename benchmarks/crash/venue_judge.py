"""What the local exchange did, by its log of requests and its own histories."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.crash.judge import OVER, Judge, Truth
from benchmarks.crash.venue_rig import VenueClient

_PAGE = 2_000
_OPEN = ("open", "triggered")
_REFUSED = ("rejected", "expired", "canceled", "unknown", "submitted")
"""What an order may be here that the exchange took for none: its answer may have been lost."""


class VenueTruth(Truth):
    """Truth of a venue.

    ``sent`` counts every order that reached its engine, by its log; fills, payments and states
    come from its answers about each account.

    Parameters
    ----------
    log : Path
    client : VenueClient
    accounts : mapping of str to str
    """

    def __init__(self, log: Path, client: VenueClient, accounts: Mapping[str, str]) -> None:
        super().__init__()
        self.held: dict[tuple[str, str], Decimal] = {}
        for entry in _entries(log):
            action = entry.get("a") or {}
            if entry["k"] == "act" and action.get("type") == "order":
                self.sent.update(row["c"] for row in action["orders"])
        for account, address in accounts.items():
            self._orders(client, address)
            self._fills(client, account, address)
            self._funding(client, account, address)
            state = client.info("clearinghouseState", address)
            for row in state["assetPositions"]:
                held = row["position"]
                if Decimal(held["szi"]):
                    self.held[account, held["coin"]] = Decimal(held["szi"])

    def _orders(self, client: VenueClient, address: str) -> None:
        rows = client.info("historicalOrders", address)
        if len(rows) >= _PAGE:
            raise ValueError("there are more orders than the exchange tells of")
        rows += [
            {"order": row, "status": "open"} for row in client.info("frontendOpenOrders", address)
        ]
        latest: dict[str, tuple[int, int, str]] = {}
        for row in rows:
            order, status = row["order"], row["status"]
            found = (int(order["oid"]), int(status not in _OPEN), status)
            latest[order["cloid"]] = max(found, latest.get(order["cloid"], found))
        for client_id, (_, _, status) in latest.items():
            self.state[client_id] = _word(status)

    def _fills(self, client: VenueClient, account: str, address: str) -> None:
        start = 0
        while True:
            page = client.info("userFillsByTime", address, startTime=start)
            before = len(self.fills)
            for row in page:
                self._take_fill(account, row)
            if len(page) < _PAGE or len(self.fills) == before:
                return
            start = max(int(row["time"]) for row in page)

    def _take_fill(self, account: str, row: dict[str, Any]) -> None:
        key = (account, str(row["tid"]))
        if key in self.fills:
            return
        client_id, size = row.get("cloid") or "", Decimal(row["sz"])
        self.fills[key] = {
            "account": account,
            "symbol": row["coin"],
            "client_id": client_id,
            "side": "buy" if row["side"] == "B" else "sell",
            "size": row["sz"],
            "price": row["px"],
            "fee": row["fee"],
        }
        self.filled[client_id] = self.filled.get(client_id, Decimal(0)) + size

    def _funding(self, client: VenueClient, account: str, address: str) -> None:
        for row in client.info("userFunding", address, startTime=0):
            delta = row["delta"]
            self.funding.append((account, delta["coin"], -Decimal(delta["usdc"])))


class VenueJudge(Judge):
    """Compares the books of a run with a venue's truth."""

    _truth: VenueTruth

    _never_sent = (*Judge._never_sent, "rejected")

    def _there(self, client_id: str) -> str | None:
        if not self._truth.sent[client_id]:
            return None
        return self._truth.state.get(client_id, "rejected")

    def _agree(self, state: str, there: str) -> bool:
        if there == "rejected":
            return state in _REFUSED
        return there == (state if state in OVER else "open")

    def _money(self) -> None:
        if self._truth.held != self._truth.positions():
            told = self._truth.positions()
            self._complain(f"the exchange holds {self._truth.held} and filled {told}")
        super()._money()


def _word(status: str) -> str:
    if status in _OPEN:
        return "open"
    if status == "filled":
        return status
    return "rejected" if status.lower().endswith("rejected") else "canceled"


def _entries(log: Path) -> Iterator[dict[str, Any]]:
    whole, _, _ = log.read_bytes().rpartition(b"\n")
    for line in whole.splitlines()[1:]:
        yield msgspec.json.decode(line[9:])
