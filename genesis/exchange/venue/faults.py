"""Faults on purpose: rules that say which request or frame is lost, late, doubled or wrong.

A rule is chosen by a hash of (seed, rule, occurrence), never by a stream of random numbers, so the
same requests meet the same faults again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal

import msgspec
import yaml

from genesis.domain.broken_text import broken_text, mend
from genesis.domain.errors import ConfigError, did_you_mean, refuse_unknown_keys

REQUEST_KINDS = {
    "drop_before": "the connection is cut before the request is applied",
    "drop_after": "the request is applied, then the connection is cut",
    "hang_before": "no answer comes, nothing is applied",
    "hang_after": "the request is applied, no answer comes",
    "delay_before": "the request waits delay_ms before it is applied",
    "delay_after": "the request is applied at once, the answer waits delay_ms",
    "duplicate": "the request is applied twice; the answer is the second one",
    "too_many": "429 with the body null, nothing is applied",
    "server_error": "status (502) instead of an answer, nothing is applied",
    "error_after": "status (502) instead of an answer, and the request is applied",
    "html": "200 with a page instead of JSON, nothing is applied",
    "html_after": "200 with a page instead of JSON, and the request is applied",
    "stale_reads": "reads do not know what happened in the last lag_ms",
}
STATE_KINDS = {
    "clock_skew": "nonces, expiry and the time of reads are off by skew_ms",
    "maintenance": "every request is answered with status (502), websockets are closed",
    "post_only": "only post-only orders are taken, as after a network upgrade",
    "meta_change": "a market's sizes have sz_decimals, its leverage is at most max_leverage",
    "ws_freeze": "open websockets send nothing at all, and stay open",
    "ws_refuse": "new websockets are refused",
    "ws_flap": "websockets are cut when they are delay_ms old",
}
FRAME_KINDS = {
    "ws_drop": "the frame is lost",
    "ws_duplicate": "the frame is sent times (2)",
    "ws_delay": "the frame is sent delay_ms later",
    "ws_reorder": "fills before the order updates of the same moment, or the other way round",
    "ws_garble": "half of the frame is sent, which is no JSON",
    "ws_status": "order updates carry a status that no client knows",
    "bad_price": "prices become text: NaN, 0, -1 or a multiple such as x10",
    "old_candle": "the candle of one interval ago is sent again",
}
ONCE_KINDS = {
    "ws_cut": "open websockets are cut, once each time the rule starts",
}
KINDS = REQUEST_KINDS | STATE_KINDS | FRAME_KINDS | ONCE_KINDS


class Where(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a rule is about; what is not given is any."""

    path: Literal["", "info", "exchange", "ws"] = ""
    type: str = ""
    user: str = ""
    coin: str = ""


class FaultRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One rule. Its times are seconds since the venue started or the rule was given."""

    kind: str
    where: Where = Where()
    probability: float = 1.0
    skip: int = 0
    count: int | None = None
    from_s: float = 0.0
    until_s: float | None = None
    delay_ms: int = 1000
    lag_ms: int = 2000
    skew_ms: int = 0
    status: int = 502
    times: int = 2
    sz_decimals: int | None = None
    max_leverage: int | None = None
    text: str = ""
    id: str = ""


class FaultFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file of faults."""

    version: Literal[1] = 1
    seed: int = 0
    faults: list[FaultRule] = []


class _Armed:
    """A rule that was given at an instant, and how often it was met and chosen."""

    def __init__(self, rule: FaultRule, name: str, now_ms: int) -> None:
        self.rule = rule
        self.name = name
        self.met = 0
        self.chosen = 0
        self.fired = False
        self._from_ms = now_ms + round(1000 * rule.from_s)
        self._until_ms = None if rule.until_s is None else now_ms + round(1000 * rule.until_s)

    def is_on(self, now_ms: int) -> bool:
        return now_ms >= self._from_ms and not self.is_over(now_ms)

    def is_over(self, now_ms: int) -> bool:
        late = self._until_ms is not None and now_ms >= self._until_ms
        return late or (self.rule.count is not None and self.chosen >= self.rule.count)

    def matches(self, facts: Where, coins: frozenset[str]) -> bool:
        where = self.rule.where
        return (
            where.path in ("", facts.path)
            and where.type in ("", facts.type)
            and where.user.lower() in ("", facts.user.lower())
            and (not where.coin or where.coin in coins)
        )


class FaultPlan:
    """The rules in force.

    Parameters
    ----------
    seed : int
        Decides for rules with a probability below one.
    coins : collection of str
        Of the exchange; a rule about another one could never strike and is refused.
    """

    def __init__(self, seed: int = 0, coins: Collection[str] = ()) -> None:
        self._coins = coins
        self.seed = seed
        self._armed: dict[str, _Armed] = {}
        self._given = 0

    @property
    def idle(self) -> bool:
        """True where no rule was ever given or all were taken away."""
        return not self._armed

    @property
    def by_user(self) -> bool:
        """Whether a rule asks whose request it is."""
        return any(armed.rule.where.user for armed in self._armed.values())

    def add(self, rule: FaultRule, now_ms: int) -> str:
        """Put a rule in force.

        Returns
        -------
        str
            The rule's name.

        Raises
        ------
        ConfigError
            If it is unknown or impossible, or its coin is none of the exchange.
        """
        check_rule(rule)
        coin = rule.where.coin
        if coin and self._coins and coin not in self._coins:
            raise ConfigError(
                f"{rule.kind}: the exchange has no {coin}{did_you_mean(coin, self._coins)}",
                fix=f"use one of {', '.join(self._coins)}",
            )
        self._given += 1
        name = rule.id or f"fault-{self._given}"
        self._armed[name] = _Armed(rule, name, now_ms)
        return name

    def load(self, file: FaultFile, now_ms: int) -> None:
        """Put every rule of a file in force."""
        self.seed = file.seed
        for rule in file.faults:
            self.add(rule, now_ms)

    def remove(self, name: str) -> bool:
        """Take a rule away; False where there is none of the name."""
        return self._armed.pop(name, None) is not None

    def clear(self) -> None:
        """Take every rule away."""
        self._armed.clear()

    def chosen(
        self,
        kinds: Mapping[str, str],
        facts: Where,
        now_ms: int,
        coins: frozenset[str] = frozenset(),
    ) -> list[FaultRule]:
        """Rules that strike a request or frame now; each strike is counted."""
        out = []
        for armed in self._armed.values():
            rule = armed.rule
            if rule.kind not in kinds or not armed.is_on(now_ms):
                continue
            if not armed.matches(facts, coins or frozenset((facts.coin,))):
                continue
            armed.met += 1
            if armed.met > rule.skip and self._lot(armed) < rule.probability:
                armed.chosen += 1
                out.append(rule)
        return out

    def state(self, kind: str, now_ms: int) -> FaultRule | None:
        """Rule of a kind that describes a state and is on now."""
        for armed in self._armed.values():
            if armed.rule.kind == kind and armed.is_on(now_ms):
                return armed.rule
        return None

    def states(self, kind: str, now_ms: int) -> list[FaultRule]:
        """Every rule of a kind that is on now."""
        if not self._armed:
            return []
        rules = [armed for armed in self._armed.values() if armed.rule.kind == kind]
        return [armed.rule for armed in rules if armed.is_on(now_ms)]

    def begun(self, kind: str, now_ms: int) -> list[FaultRule]:
        """Rules of a kind that strike once and have not done so yet."""
        out = []
        for armed in self._armed.values():
            if armed.rule.kind == kind and not armed.fired and armed.is_on(now_ms):
                armed.fired = True
                armed.chosen += 1
                out.append(armed.rule)
        return out

    def listed(self, now_ms: int) -> list[dict[str, Any]]:
        """Every rule with what became of it."""
        return [
            {
                "name": name,
                "on": armed.is_on(now_ms),
                "over": armed.is_over(now_ms),
                "met": armed.met,
                "struck": armed.chosen,
                "rule": msgspec.to_builtins(armed.rule),
                "meaning": KINDS[armed.rule.kind],
            }
            for name, armed in self._armed.items()
        ]

    def _lot(self, armed: _Armed) -> float:
        if armed.rule.probability >= 1.0:
            return 0.0
        key = f"{self.seed}:{armed.name}:{armed.met}".encode()
        return int.from_bytes(blake2b(key, digest_size=8).digest(), "big") / float(1 << 64)


def check_rule(rule: FaultRule) -> None:
    """Refuse a rule of an unknown kind or with impossible figures.

    Raises
    ------
    ConfigError
    """
    if rule.kind not in KINDS:
        raise ConfigError(
            f"unknown fault {rule.kind!r}{did_you_mean(rule.kind, KINDS)}",
            fix=f"use one of {', '.join(sorted(KINDS))}",
        )
    changes = rule.sz_decimals is not None or rule.max_leverage is not None
    fine = {
        "probability is within [0, 1]": 0.0 <= rule.probability <= 1.0,
        "skip, count, delay_ms and lag_ms are not negative": min(
            rule.skip, rule.delay_ms, rule.lag_ms, rule.count or 0
        )
        >= 0,
        "until_s is later than from_s": rule.until_s is None or rule.until_s > rule.from_s >= 0.0,
        "times is 1 to 100": 1 <= rule.times <= 100,
        "status is 400 to 599": 400 <= rule.status <= 599,
        "sz_decimals is 0 to 6": 0 <= (rule.sz_decimals or 0) <= 6,
        "max_leverage is 1 to 100": rule.max_leverage is None or 1 <= rule.max_leverage <= 100,
        "give sz_decimals or max_leverage": rule.kind != "meta_change" or changes,
        "give skew_ms": rule.kind != "clock_skew" or rule.skew_ms != 0,
    }
    for law, holds in fine.items():
        if not holds:
            raise ConfigError(f"the fault {rule.kind} is not possible", why=law)


def rule_from(body: Any) -> FaultRule:
    """Make a rule of what a file or a control call says.

    Raises
    ------
    ConfigError
    """
    _known_keys("the fault", body)
    try:
        rule = msgspec.convert(body, FaultRule)
    except msgspec.ValidationError as error:
        raise ConfigError("this is no fault", why=str(error)) from None
    check_rule(rule)
    return rule


def read_faults(path: Path) -> FaultFile:
    """Read a YAML file of faults.

    Raises
    ------
    ConfigError
        If it cannot be read, or a rule is unknown or impossible.
    """
    fix = "docs/venue.md shows its form"
    try:
        text = path.read_text(encoding="utf-8")
        body = yaml.safe_load(text)
        given = body.get("faults") if isinstance(body, dict) else None
        for place, rule in enumerate(given if isinstance(given, list) else ()):
            _known_keys(f"faults[{place}]", rule)
        file = msgspec.convert(body if body is not None else {}, FaultFile)
    except yaml.YAMLError as error:
        what, why = broken_text(str(path), text, error)
        raise ConfigError(what, why=why, fix=mend(fix)) from None
    except (OSError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise ConfigError(f"{path} is no file of faults", why=str(error), fix=fix) from None
    names = [rule.id for rule in file.faults if rule.id]
    if len(set(names)) < len(names):
        raise ConfigError(f"two faults of {path} have one id", fix="give each its own, or none")
    for rule in file.faults:
        check_rule(rule)
    return file


def _known_keys(section: str, body: Any) -> None:
    if isinstance(body, dict):
        refuse_unknown_keys(section, body, FaultRule.__struct_fields__)
        if isinstance(body.get("where"), dict):
            refuse_unknown_keys(f"{section}.where", body["where"], Where.__struct_fields__)


def coins_of(rows: Sequence[Any], names: Mapping[int, str]) -> frozenset[str]:
    """Coins that the rows of an action are about, by asset id."""
    ids = (row.get("a", row.get("asset")) for row in rows if isinstance(row, Mapping))
    return frozenset(names[i] for i in ids if isinstance(i, int) and i in names)
