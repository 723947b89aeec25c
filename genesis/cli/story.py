"""`genesis story`: why a fill, an order or a plan is there, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from genesis.cli import render
from genesis.cli.commands import whole
from genesis.cli.options import Json, home_of, not_empty

if TYPE_CHECKING:
    from rich.console import Console

    from genesis.trading.story import Story

STATES_SHOWN = 12


def story(
    ctx: typer.Context,
    identifier: Annotated[
        str,
        typer.Argument(
            metavar="ID",
            help="FIL_…, ORD_…, TPL_…, EXG_… or TRD_…, or a unique beginning.",
            callback=not_empty,
        ),
    ],
    run: Annotated[str, typer.Option("--run", help="Trading run; all are tried otherwise.")] = "",
    as_json: Json = False,
) -> None:
    """Tell why, what, how and with what outcome.

    Examples:

        genesis story FIL_20250131_120000_0000002a

        genesis story TPL_20250131_12 --run paper_20250201 --json
    """
    from genesis.domain.errors import InputError
    from genesis.trading.run_folders import find_run, list_runs

    home = home_of(ctx)
    folders = [find_run(home, run)] if run else list_runs(home) or [find_run(home)]
    told: list[tuple[Path, Story]] = []
    refusal: InputError | None = None
    for folder in folders:
        try:
            told.append((folder, _tell(folder, identifier)))
        except InputError as error:
            refusal = refusal or error
    if not told:
        assert refusal is not None
        raise refusal
    if len(told) > 1:
        raise InputError(
            f"{identifier} is in several runs",
            why=", ".join(folder.name for folder, _ in told),
            fix=f"genesis story {identifier} --run {told[-1][0].name}",
        )
    folder, found = told[0]
    if as_json:
        import msgspec

        render.emit({"run": folder.name, "story": msgspec.to_builtins(found)})
        return
    show(render.console(), folder.name, found)


def _tell(folder: Path, identifier: str) -> Story:
    from genesis.trading.store.reader import EventReader
    from genesis.trading.story import tell

    with EventReader(folder) as reader:
        return tell(reader, identifier)


# ---- for people ------------------------------------------------------------------------------


def show(out: Console, run: str, found: Story) -> None:
    """Print a story in its four parts."""
    _line(out, "story", f"{found.id}  of run {run}")
    _who(out, found.strategy)
    _why(out, found.why)
    _what(out, found.what)
    _how(out, found.how)
    _outcome(out, found.outcome)
    others = [e for e in found.entries if e["kind"] not in ("intent", "order", "fill")]
    for place, entry in enumerate(others):
        text = f"{_when(entry['ts_ms'])}  {entry['kind']}: {entry['text']}"
        _line(out, "besides" if not place else "", text)


def _line(out: Console, label: str, text: str) -> None:
    out.print(f"{label:9}{text}", markup=False)


def _money(text: str) -> str:
    """Amount to eight decimals: a person reads no more, ``--json`` has them all."""
    short = f"{Decimal(text):.8f}".rstrip("0").rstrip(".")
    return "0" if short in ("-0", "") else short


def _seen(value: Any) -> str:
    """Value of a signal: what is below one with six digits that say something."""
    if isinstance(value, float) and 0.0 < abs(value) < 1.0:
        return f"{Decimal(f'{value:.6g}'):f}"
    return render.number(value, 6)


def _when(ts_ms: int) -> str:
    if not ts_ms:
        return "-"
    moment = datetime.fromtimestamp(ts_ms / 1000, tz=UTC)
    return moment.strftime("%Y-%m-%d %H:%M:%S.") + f"{ts_ms % 1000:03d}"


def _who(out: Console, strategy: Mapping[str, Any] | None) -> None:
    if strategy is None:
        return
    bred = f", genome {strategy['genome']}" if strategy["genome"] else ", written, not bred"
    family = f" {strategy['family']}" if strategy["family"] else ""
    _line(out, "who", f"strategy {strategy['strategy_id']}{family}{bred}")
    if strategy["genome"]:
        _line(
            out,
            "",
            whole(f"  from gene to fill: genesis strategies show {strategy['strategy_id']}"),
        )


def _why(out: Console, why: Mapping[str, Any]) -> None:
    origin = why["origin"]
    if origin is None:
        _line(out, "why", "nobody here decided it: an external fill, or no cause is on record")
    else:
        text = f": {origin['text']}" if origin["text"] else ""
        _line(out, "why", f"{origin['kind']} {origin['id']} (event {origin['seq']}){text}")
    for signal in why["signals"]:
        held = [name for name, value in signal["rules"].items() if value == 1]
        values = ", ".join(
            f"{name} {_seen(value)}"
            for name, value in signal["values"].items()
            if value is not None
        )
        _line(out, "", f"signal {signal['id']} at bar {signal['bar']}: {', '.join(held) or '-'}")
        _line(out, "", f"  saw {values}")
        wanted = render.number(signal["quantity"], 8)
        _line(out, "", f"  wanted {wanted}, close reason {signal['close_reason']}")
    for risk in why["risks"]:
        verdict = "approved" if risk["approved"] else "REFUSED"
        numbers = f"{render.number(risk['value'], 4)} of {render.number(risk['limit'], 4)}"
        _line(out, "", f"risk {risk['id']} {verdict}: {risk['rule']} {numbers} {risk['text']}")


def _what(out: Console, what: Mapping[str, Any]) -> None:
    plan = what["plan"]
    if plan is None:
        _line(out, "what", "no trade plan")
        return
    _line(
        out,
        "what",
        f"plan {plan['plan_id']} of {plan['deployment']}: {plan['side']} {plan['symbol']} on"
        f" {plan['account']}, {plan['status']}",
    )
    if plan["wanted"] is not None:
        _line(out, "", f"  size {plan['size']} of {plan['wanted']} wanted ({plan['method']})")
        _line(out, "", f"  the decision saw the price {plan['reference']}")
    exits = [(name, plan[name]) for name in ("stop_atr", "target_atr", "trail_atr", "time_stop")]
    named = ", ".join(f"{name} {render.number(value)}" for name, value in exits if value)
    if named:
        _line(out, "", f"  exits: {named}")
    for intent in what["intents"]:
        algorithm = (intent["execution"] or {}).get("algorithm", "single")
        _line(
            out,
            "",
            f"  {_when(intent['ts_ms'])}  {intent['scope']} {intent['reason']}"
            f"  {intent['intent_id']} by {intent['directive_id']}, {algorithm}",
        )
        sizing = (intent["size"] or {}).get("sizing")
        if sizing:
            _line(out, "", f"    sizing: {sizing}")


def _how(out: Console, groups: Sequence[Mapping[str, Any]]) -> None:
    label = "how"
    for group in groups:
        for order in group["orders"]:
            mark = " ←" if order["focus"] or group["focus"] else ""
            price = f" at {order['price']}" if order["price"] else ""
            _line(
                out,
                label,
                f"{order['order_id']} {order['purpose']}: {order['side']} {order['kind']}"
                f" {order['size']}{price}, {order['state']}{mark}",
            )
            label = ""
            _states(out, order["states"])
            if order["grade"]:
                _line(out, "", f"    executed: {order['grade']}, {_quality(order)}")


def _states(out: Console, states: Sequence[Mapping[str, Any]]) -> None:
    shown = list(states)
    if len(shown) > STATES_SHOWN:
        half = STATES_SHOWN // 2
        shown = [*shown[:half], *shown[-half:]]
    for place, state in enumerate(shown):
        if len(states) > STATES_SHOWN and place == STATES_SHOWN // 2:
            _line(out, "", f"    … {len(states) - STATES_SHOWN} more, see --json")
        price = f" at {state['price']}" if state["price"] else ""
        filled = f", filled {state['filled']}" if state["filled"] != "0" else ""
        reason = f" ({state['reason']})" if state["reason"] else ""
        text = f"{state['state']}{reason}, {state['size']}{price}{filled}"
        _line(out, "", f"    {_when(state['recorded_ms'])}  {text}")


def _quality(order: Mapping[str, Any]) -> str:
    parts = []
    for name, label in (
        ("intent_slippage", "since the decision"),
        ("slippage", "against the venue's price"),
        ("impact", "impact"),
    ):
        if order[name] is not None:
            parts.append(f"{label} {1e4 * order[name]:+.2f} bp")
    parts.append(f"maker {render.percent(order['maker_share'], 0)}")
    if order["latency_ms"]:
        parts.append(f"{order['latency_ms']} ms")
    return ", ".join(parts)


def _outcome(out: Console, outcome: Mapping[str, Any]) -> None:
    label = "outcome"
    for fill in outcome["fills"]:
        mark = " ←" if fill["focus"] else ""
        since = fill["intent_slippage_bp"]
        slipped = "" if since is None else f", {since:+.2f} bp since the decision"
        kind = "maker" if fill["maker"] else "taker"
        _line(
            out,
            label,
            f"{fill['fill_id']} {_when(fill['ts_ms'])}: {fill['side']} {fill['size']} at"
            f" {fill['price']}, {kind}, fee {_money(fill['fee'])}{slipped}{mark}",
        )
        label = ""
    trade = outcome["trade"]
    if trade is None:
        _line(out, label, "no round trip is complete")
        return
    _line(
        out,
        label,
        f"closed by {trade['exit_reason']} ({trade['exit_class'] or 'no class'}): net"
        f" {_money(trade['net'])} = pnl {_money(trade['pnl'])} − fees {_money(trade['fees'])}"
        f" − funding {_money(trade['funding'])}",
    )
    _line(
        out,
        "",
        f"  in at {_money(trade['entry'])}, out at {_money(trade['exit'])}; best"
        f" {render.percent(trade['mfe'], 2)}, worst {render.percent(trade['mae'], 2)}",
    )
