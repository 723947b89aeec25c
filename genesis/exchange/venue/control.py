"""``/control``: what a test may do to the exchange that no client may.

Every call is JSON and says so in its media type; a page of another site cannot send that without
being asked first, and is then refused.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from hashlib import blake2b
from typing import Any

import msgspec
from aiohttp import web

from genesis.domain.errors import GenesisError, did_you_mean
from genesis.domain.timeline import DAY_MS
from genesis.exchange.venue import wire
from genesis.exchange.venue.faults import KINDS, rule_from
from genesis.exchange.venue.subscriptions import is_address
from genesis.exchange.venue.venue import Venue

_FARTHEST_MS = 400 * DAY_MS
_Act = Callable[[dict[str, Any]], dict[str, Any]]


class Control:
    """The control calls of a venue."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue

    def route(self, router: web.UrlDispatcher) -> None:
        """Add the calls to a router."""
        router.add_get("/control/state", _read(self.state))
        router.add_get("/control/hash", _read(self.hashes))
        router.add_get("/control/faults", _read(self.faults))
        for name, act in (
            ("fund", self.fund),
            ("time", self.time),
            ("faults", self.inject),
            ("order", self.order),
            *self._knobs().items(),
        ):
            router.add_post(f"/control/{name}", self._write(act))
        router.add_delete("/control/faults", self._write(self.heal))
        router.add_delete("/control/faults/{name}", self._write(self.heal))
        calls = {
            f"{route.method} {route.resource.canonical}": None
            for route in router.routes()
            if route.resource is not None and route.resource.canonical.startswith("/control/")
        }
        known = [call for call in calls if not call.startswith("HEAD")]
        router.add_route("*", "/control/{rest:.*}", _unknown(known))

    def _write(self, act: _Act) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handle(request: web.Request) -> web.Response:
            if request.content_type != "application/json":
                return _json({"ok": False, "error": "send application/json"}, 415)
            try:
                raw = await request.read()
                body = wire.decode(raw) if raw else {}
                if not isinstance(body, dict):
                    raise ValueError("the body is an object")
                answer = act(body | dict(request.match_info))
            except KeyError as error:
                return _json({"ok": False, "error": f"{error.args[0]} is missing"}, 400)
            except (ValueError, TypeError, GenesisError) as error:
                return _json({"ok": False, "error": str(error)}, 400)
            self._venue.beat(everything=False)
            return _json({"ok": True, **answer})

        return handle

    def state(self) -> dict[str, Any]:
        """What the page shows."""
        venue = self._venue
        now_ms = venue.clock.now_ms()
        return {
            "now_ms": now_ms,
            "scripted": venue.clock.scripted,
            "seed": venue.core.seed,
            "sessions": len(venue.hub.sessions),
            "markets": self._markets(),
            "accounts": [self._account(user) for user in venue.core.users()],
            "orders": [
                {"user": user, **order}
                for user in venue.core.users()
                for order in venue.core.user_info.frontend_open_orders(user)
            ],
            "faults": venue.faults.listed(now_ms),
            "kinds": KINDS,
        }

    def hashes(self) -> dict[str, Any]:
        """Hash of everything the exchange remembers, and of what was asked of it."""
        venue = self._venue
        asked = blake2b(msgspec.json.encode(venue.requests.state()), digest_size=16)
        return {"state": venue.core.state_hash(), "requests": asked.hexdigest()}

    def faults(self) -> dict[str, Any]:
        """Every rule of a fault that was given, and what became of it."""
        return {"faults": self._venue.faults.listed(self._venue.clock.now_ms()), "kinds": KINDS}

    def fund(self, body: dict[str, Any]) -> dict[str, Any]:
        """Pay ``usd`` dollars into the account of ``user``, or ``amount`` of a spot ``token``."""
        user = _address(body)
        if "token" in body:
            self._venue.core.fund_spot(user, str(body["token"]), str(body["amount"]))
        else:
            self._venue.core.fund(user, str(body["usd"]))
        return {"user": user}

    def time(self, body: dict[str, Any]) -> dict[str, Any]:
        """Put the clock at ``now_ms``, or ``advance_ms`` ahead."""
        clock = self._venue.clock
        now = clock.now_ms()
        wanted = (
            _whole(body, "now_ms")
            if "now_ms" in body
            else now + _whole(body, "advance_ms", least=0)
        )
        if wanted - now > _FARTHEST_MS:
            raise ValueError("the clock goes on by 400 days at once, and no more")
        clock.set_ms(wanted)
        self._venue.beat(everything=True)
        return {"now_ms": clock.now_ms()}

    def inject(self, body: dict[str, Any]) -> dict[str, Any]:
        """Put a fault in force."""
        return {"name": self._venue.faults.add(rule_from(body), self._venue.clock.now_ms())}

    def heal(self, body: dict[str, Any]) -> dict[str, Any]:
        """Take a fault away, or all of them."""
        name = body.get("name")
        if name is None:
            self._venue.faults.clear()
            return {}
        return {"removed": self._venue.faults.remove(str(name))}

    def order(self, body: dict[str, Any]) -> dict[str, Any]:
        """Carry out any ``action`` for ``user`` without a signature: a trade made by hand."""
        user, action = _address(body), body["action"]
        wire.check_action(action)
        venue = self._venue
        return {"answer": venue.core.submit(user, action, venue.clock.now_ms())}

    def _knobs(self) -> dict[str, _Act]:
        """Calls that turn one knob of the core and answer nothing."""
        knobs = self._venue.core.knobs

        def price(body: dict[str, Any]) -> dict[str, Any]:
            if body.get("px") is None:
                knobs.release_price(str(body["coin"]))
            else:
                oracle = body.get("oracle")
                value = None if oracle is None else str(oracle)
                knobs.set_price(str(body["coin"]), str(body["px"]), oracle=value)
            return {}

        def prune(body: dict[str, Any]) -> dict[str, Any]:
            agent = _address(body)
            self._venue.requests.forget(agent)
            return {"pruned": knobs.prune_agent(agent)}

        def quiet(turn: Callable[[dict[str, Any]], None]) -> _Act:
            def act(body: dict[str, Any]) -> dict[str, Any]:
                turn(body)
                return {}

            return act

        return {
            "price": price,
            "prune": prune,
            "end": quiet(
                lambda b: knobs.end_order(_address(b), _whole(b, "oid"), str(b["status"]))
            ),
            "premium": quiet(lambda b: knobs.set_premium(str(b["coin"]), _whole(b, "premium"))),
            "cap": quiet(lambda b: knobs.set_interest_cap(str(b["coin"]), str(b["size"]))),
            "delist": quiet(lambda b: knobs.delist(str(b["coin"]))),
            "deleverage": quiet(lambda b: knobs.deleverage(_address(b), str(b["coin"]))),
            "requests": quiet(lambda b: self._spend(_address(b), _whole(b, "used", least=0))),
            "volume": quiet(lambda b: knobs.set_volume(_address(b), _whole(b, "usd", least=0))),
        }

    def _spend(self, user: str, used: int) -> None:
        """Let an account have made a number of requests, at least those it has made."""
        ledger = self._venue.requests
        ledger.spend(user, None, user, max(0, used - ledger.budget.used(user)))

    def _markets(self) -> list[dict[str, Any]]:
        reader = self._venue.core.market_info
        rows = []
        for entry, context in zip(reader.meta()["universe"], reader.contexts(), strict=True):
            bid, ask = reader.bbo(entry["name"])["bbo"]
            rows.append(
                {
                    "coin": entry["name"],
                    "bid": bid["px"] if bid else None,
                    "ask": ask["px"] if ask else None,
                    "mark": context["markPx"],
                    "oracle": context["oraclePx"],
                    "funding": context["funding"],
                    "openInterest": context["openInterest"],
                    "maxLeverage": entry["maxLeverage"],
                    "szDecimals": entry["szDecimals"],
                }
            )
        return rows

    def _account(self, user: str) -> dict[str, Any]:
        reader = self._venue.core.user_info
        state = reader.clearinghouse_state(user)
        return {
            "user": user,
            "accountValue": state["marginSummary"]["accountValue"],
            "positions": len(state["assetPositions"]),
            "openOrders": len(reader.open_orders(user)),
            "fills": len(self._venue.core.user_history.fills(user)),
            "requests": self._venue.requests.budget.used(user),
        }


def _read(read: Callable[[], dict[str, Any]]) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        del request
        return _json({"ok": True, **read()})

    return handle


def _json(body: dict[str, Any], status: int = 200) -> web.Response:
    return web.Response(
        status=status, body=msgspec.json.encode(body), content_type="application/json"
    )


def _unknown(calls: Sequence[str]) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        asked = f"{request.method} {request.path}"
        text = f"there is no call {asked}{did_you_mean(asked, calls)}; use {', '.join(calls)}"
        return _json({"ok": False, "error": text}, 404)

    return handle


def _whole(body: dict[str, Any], name: str, least: int | None = None) -> int:
    value = body[name]
    if isinstance(value, str) and value.removeprefix("-").isdecimal():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"{name} is a whole number, not {value!r}")
    if least is not None and value < least:
        raise ValueError(f"{name} is {least} or more, not {value}")
    return value


def _address(body: dict[str, Any]) -> str:
    user = body["user"]
    if not is_address(user):
        raise ValueError(f"{user!r} is no address")
    return str(user).lower()
