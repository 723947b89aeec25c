"""Judges a run from the exchange's truth file alone: what it says must be in the books, once.

The truth file is read as the lines of JSON that it is, not by the exchange's own code, and money is
summed up in a different way than the ledger does it: what went in, plus what was sold, less what
was bought, fees and funding, is cash less the cost of what is held.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from decimal import Context, Decimal
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.crash.market import fresh_core
from genesis.trading import journal, ledger
from genesis.trading.core import TradingCore
from genesis.trading.payloads import DeploymentAdded, OrderSubmit
from genesis.trading.replay import Refold
from genesis.trading.store import EventReader, verify

_EXACT = Context(prec=200)
_TABLES = (*ledger.TABLES, *journal.TABLES)
OVER = {"filled", "canceled", "rejected", "expired"}


class Truth:
    """What an exchange did, by its file.

    Attributes
    ----------
    sent : Counter
        Client id to the number of submissions that reached it.
    accepted : set of str
    state : dict of str to str
        Client id to ``open``, ``filled``, ``canceled``, ``rejected``.
    filled : dict of str to Decimal
        Client id to its filled size.
    fills : dict
        (account, fill id) to the fill.
    funding : list
        Payments as (account, symbol, amount).
    """

    def __init__(self) -> None:
        self.sent: Counter[str] = Counter()
        self.accepted: Counter[str] = Counter()
        self.state: dict[str, str] = {}
        self.size: dict[str, Decimal] = {}
        self.filled: dict[str, Decimal] = {}
        self.fills: dict[tuple[str, str], dict[str, Any]] = {}
        self.funding: list[tuple[str, str, Decimal]] = []
        self.repeated: list[str] = []

    @classmethod
    def of(cls, path: Path) -> Truth:
        """Read the file."""
        truth = cls()
        whole, _, _ = path.read_bytes().rpartition(b"\n")
        for line in whole.splitlines()[1:]:
            truth._take(json.loads(line))
        return truth

    def _take(self, line: dict[str, Any]) -> None:
        body = line["body"]
        if line["call"] == "submit":
            self.sent[body["client_id"]] += 1
            self.size.setdefault(body["client_id"], Decimal(body["size"]))
        for told in line["told"]:
            kind, data = told["type"], told["data"]
            client_id = data.get("client_id", "")
            if kind == "order_accepted":
                self.accepted[client_id] += 1
                self.state[client_id] = "open"
            elif kind == "order_modified":
                self.size[client_id] = Decimal(data["size"])
            elif kind == "order_canceled":
                self.state[client_id] = "canceled"
            elif kind == "order_rejected" and data["what"] == "submit":
                self.state[client_id] = "rejected"
            elif kind == "order_filled":
                self._fill(data["fill"])
            elif kind == "funding_paid":
                self.funding.append((data["account"], data["symbol"], Decimal(data["amount"])))

    def _fill(self, fill: dict[str, Any]) -> None:
        key = (fill["account"], fill["fill_id"])
        if key in self.fills:
            self.repeated.append(fill["fill_id"])
        self.fills[key] = fill
        client_id = fill["client_id"]
        if client_id:
            done = _EXACT.add(self.filled.get(client_id, Decimal(0)), Decimal(fill["size"]))
            self.filled[client_id] = done
            if done == self.size[client_id]:
                self.state[client_id] = "filled"

    def positions(self) -> dict[tuple[str, str], Decimal]:
        """Signed size by account and symbol, flat ones left out."""
        sizes: dict[tuple[str, str], Decimal] = {}
        for fill in self.fills.values():
            key = (fill["account"], fill["symbol"])
            sizes[key] = _EXACT.add(sizes.get(key, Decimal(0)), _signed(fill))
        return {key: size for key, size in sizes.items() if size}

    def worth(self, account: str) -> Decimal:
        """What trading left in the cash of an account, positions counted at what they cost."""
        total = Decimal(0)
        for fill in self.fills.values():
            if fill["account"] == account:
                value = _EXACT.multiply(_signed(fill), Decimal(fill["price"]))
                total = _EXACT.subtract(total, value)
                total = _EXACT.subtract(total, Decimal(fill["fee"]))
        for owner, _, amount in self.funding:
            if owner == account:
                total = _EXACT.subtract(total, amount)
        return total


def _signed(fill: dict[str, Any]) -> Decimal:
    size = Decimal(fill["size"])
    return size if fill["side"] == "buy" else size.copy_negate()


class Verdict(msgspec.Struct):
    """What a judge found.

    Attributes
    ----------
    complaints : list of str
        Empty where all is well.
    lost, doubled : int
        Orders and fills that one side lacks, and those that are there more than once.
    orders, fills, events : int
        How many were compared.
    unsent : int
        Orders that were decided on and never reached the exchange.
    """

    complaints: list[str] = []
    lost: int = 0
    doubled: int = 0
    orders: int = 0
    fills: int = 0
    events: int = 0
    unsent: int = 0


class Judge:
    """Compares the books of a run with the truth.

    Parameters
    ----------
    truth : Truth
    folder : Path
        Of the run; whoever writes it must be at rest.
    """

    _never_sent: tuple[str, ...] = ("expired", "unknown", "submitted", "intent")

    def __init__(self, truth: Truth, folder: Path) -> None:
        self._truth = truth
        self._folder = folder
        self._core: TradingCore = fresh_core(folder.name)
        self._verdict = Verdict(orders=len(self._truth.sent), fills=len(self._truth.fills))

    def judge(self, state_hash: str, *, over: bool) -> Verdict:
        """Judge everything.

        Parameters
        ----------
        state_hash : str
            Of the trader that just recovered, or ended.
        over : bool
            The run is over: every order whose fate the exchange can tell must be settled.
        """
        damage = verify(self._folder).damage
        if damage is not None:
            self._complain(f"the log is damaged: {damage}")
        with EventReader(self._folder) as reader:
            self._refold(reader, state_hash)
            submits = self._submits(reader)
            self._orders(reader, submits, over=over)
            self._fills(reader)
        self._money()
        return self._verdict

    def _complain(self, text: str) -> None:
        self._verdict.complaints.append(text)

    # ---- the log and what is derived from it -------------------------------------------------

    def _refold(self, reader: EventReader, state_hash: str) -> None:
        refold = Refold(self._core)
        wanted: dict[str, dict[Any, Any]] = {table.name: {} for table in _TABLES}
        keys = {t.name: [list(t.columns).index(name) for name in t.key] for t in _TABLES}
        for event in reader.events():
            for name, values in refold.handle(event):
                wanted[name][tuple(values[place] for place in keys[name])] = values
        self._verdict.events = refold.events
        for found in refold.divergences[:3]:
            self._complain(f"event {found.seq}: {found.what}")
        if refold.pending():
            self._complain(f"{len(refold.pending())} emissions are not in the log")
        if self._core.state_hash != state_hash:
            self._complain("the log folds to another state than the trader has")
        for table in _TABLES:
            stored = Counter(tuple(row.values()) for row in reader.rows(table.name))
            folded = Counter(wanted[table.name].values())
            if stored != folded:
                ours, theirs = list(folded - stored)[:2], list(stored - folded)[:2]
                self._complain(f"table {table.name}: folded {ours}, stored {theirs}")

    # ---- orders ------------------------------------------------------------------------------

    def _submits(self, reader: EventReader) -> Counter[str]:
        counted: Counter[str] = Counter()
        for event in reader.events(types=[OrderSubmit.type]):
            assert isinstance(event.data, OrderSubmit)
            counted[event.data.order.client_id] += 1
        return counted

    def _orders(self, reader: EventReader, submits: Counter[str], *, over: bool) -> None:
        truth, verdict = self._truth, self._verdict
        for client_id, count in (truth.sent + truth.accepted + submits).items():
            sent, accepted, logged = (c[client_id] for c in (truth.sent, truth.accepted, submits))
            if max(sent, accepted, logged) > 1:
                verdict.doubled += 1
                self._complain(
                    f"{client_id}: sent {sent}, accepted {accepted}, in the log {logged} times"
                )
            if count and not logged:
                verdict.lost += 1
                self._complain(f"{client_id} is at the exchange and not in the log")
        for row in reader.rows("orders"):
            self._order(row, over=over)

    def _order(self, row: dict[str, Any], *, over: bool) -> None:
        truth, client_id = self._truth, row["client_id"]
        where = f"order {row['order_id']} is {row['state']}"
        filled = truth.filled.get(client_id, Decimal(0))
        if Decimal(row["filled"]) != filled:
            self._verdict.lost += 1
            self._complain(f"{where}, {row['filled']} filled here and {filled} at the exchange")
        there = self._there(client_id)
        if there is None:
            self._verdict.unsent += 1
            if row["state"] not in self._never_sent:
                self._verdict.lost += 1
                self._complain(f"{where} and never was at the exchange")
            return
        if row["state"] == "unknown" and not over:
            return
        if not self._agree(row["state"], there):
            self._verdict.lost += 1
            self._complain(f"{where} here and {there} at the exchange")

    def _there(self, client_id: str) -> str | None:
        """State of an order at the exchange, None where it never was there."""
        return self._truth.state.get(client_id)

    def _agree(self, state: str, there: str) -> bool:
        """Whether an order may be in a state here that is in another there."""
        return state == "submitted" or there == (state if state in OVER else "open")

    # ---- fills and money ---------------------------------------------------------------------

    def _fills(self, reader: EventReader) -> None:
        truth, verdict = self._truth, self._verdict
        booked = Counter((r["account"], r["venue_fill_id"]) for r in reader.rows("fills"))
        for key in truth.fills.keys() | booked.keys():
            if key not in booked or key not in truth.fills:
                verdict.lost += 1
                self._complain(f"fill {key} is {'not ' if key not in booked else ''}in the ledger")
            elif booked[key] > 1:
                verdict.doubled += 1
                self._complain(f"fill {key} is in the ledger {booked[key]} times")
        if truth.repeated:
            self._complain(f"the exchange told fills twice: {truth.repeated[:3]}")
        paid = Counter(truth.funding)
        rows = reader.rows("postings", "kind = 'funding'")
        got = Counter((r["account"], r["symbol"], Decimal(r["funding"])) for r in rows)
        if paid != got:
            verdict.lost += sum((paid - got).values())
            verdict.doubled += sum((got - paid).values())
            self._complain(f"funding: not booked {paid - got}, booked too much {got - paid}")

    def _money(self) -> None:
        books = self._core.desk.ledger
        held = {(h.account, h.symbol): h for h in books.positions()}
        there = self._truth.positions()
        if {key: h.size for key, h in held.items()} != there:
            self._complain(f"positions: {[(k, h.size) for k, h in held.items()]} and {there}")
        deposits: dict[str, Decimal] = {}
        for added in self._added():
            before = deposits.get(added.account, Decimal(0))
            deposits[added.account] = before + Decimal(repr(float(added.capital)))
        for account, deposit in deposits.items():
            here = books.account(account).cash
            for holding in books.positions(account):
                here = _EXACT.subtract(here, holding.cost)
            wanted = _EXACT.add(deposit, self._truth.worth(account))
            if here != wanted:
                self._complain(f"cash of {account}: {here} here, {wanted} by the exchange")

    def _added(self) -> Iterator[DeploymentAdded]:
        with EventReader(self._folder) as reader:
            for event in reader.events(types=[DeploymentAdded.type]):
                assert isinstance(event.data, DeploymentAdded)
                yield event.data
