"""Paper runs, live runs and profit against expectation, in words."""

from __future__ import annotations

from collections.abc import Sequence

from genesis.domain.counting import several
from genesis.system.strategy_evidence_words import (
    NONE,
    Facts,
    Rows,
    Table,
    amount,
    bp,
    counted,
    figure,
    gate_table,
    instant,
    latest_rows,
    share,
    short,
    signed,
)


def paper_view(facts: Facts) -> tuple[Rows, list[Table]]:
    """Paper runs and G4."""
    judged, feedback = facts["judged"], facts["feedback"] or {}
    by_run = {row["run_id"]: row for row in feedback.get("runs", ())}
    pairs = [(run["run"], _traded(run, by_run.get(run["run"]))) for run in facts.get("runs", ())]
    if judged is not None:
        where = f"step {judged['seq']} of {judged['deployment']}, {instant(judged['ts_ms'])}"
        pairs += [("G4 judged", f"for {where}, on {', '.join(judged['runs']) or 'no run'}")]
    else:
        pairs += [("G4 judged", "not yet: it is judged for the step to the canary")]
    fills = [
        {**one, "run": run["run"]} for run in facts.get("runs", ()) for one in run["last_fills"]
    ]
    return pairs, [
        gate_table("G4, as it was judged", facts["gates"]),
        _fill_table(fills, "Last fills"),
    ]


def _traded(run: Facts, feedback: Facts | None) -> str:
    fidelity = (feedback or {}).get("fidelity", {}).get("verdict", "no shadow on record")
    return (
        f"{run['mode']}, {instant(run['first_ms'])} to {instant(run['last_ms'])}: "
        f"{several(run['fills'], 'fill')}, {several(run['trades'], 'trade')},"
        f" net {signed(run['net'])} on {run['capital']:,.0f};"
        f" {fidelity}"
    )


def live_view(facts: Facts) -> tuple[Rows, list[Table]]:
    """Live runs with their orders and fills."""
    pairs: list[tuple[str, str]] = []
    tables: list[Table] = []
    for run in facts["runs"]:
        pairs += _live_pairs(run)
        orders, title = latest_rows(run["order_list"], f"Orders of {run['run']}")
        tables.append(_order_table(orders, title))
        fills, title = latest_rows(run["fill_list"], f"Fills of {run['run']}")
        tables.append(_fill_table([{**one, "run": run["run"]} for one in fills], title))
        refused = tuple(
            (one["stage"], one["reason"], f"{one['count']:,}") for one in run["passed_up"]
        )
        columns = ("Stage", "~Reason", "#Count")
        tables.append(Table(f"Opportunities of {run['run']} without an order", columns, refused))
    return pairs, tables


def _live_pairs(run: Facts) -> list[tuple[str, str]]:
    stops, risk, last = run["stops"], run["risk"], run["last_fill"]
    ended = f"; ended: {run['finished']}" if run["finished"] else ""
    cut = f", {risk['made_smaller']} made smaller"
    cut += f" by {share(risk['mean_cut'], 0)} on average" if risk["mean_cut"] is not None else ""
    late = ", ".join(one["plan_id"] for one in stops["late"])
    stopped = f"{stops['with_stop']} of {stops['positions']} positions had one at the exchange"
    if stops["longest_ms"] is not None:
        stopped += f", the slowest after {stops['longest_ms'] / 1000:g} s"
    if stops["within_ms"]:
        stopped += f" ({stops['within_ms'] / 1000:g} s allowed; late: {late or 'none'})"
    pairs = [
        ("run", f"{run['run']}, {instant(run['first_ms'])} to {instant(run['last_ms'])}{ended}"),
        ("orders", f"{run['orders']:,}: {counted(run['order_states'])}"),
        ("fills", f"{run['fills']:,} in {several(run['trades'], 'closed trade')}"),
        ("slippage", f"{bp(run['slippage_bp'])} against the venue's price,"
                     f" {bp(run['intent_slippage_bp'])} since the decision"),
        ("money", f"net {signed(run['net'])} = pnl {signed(run['pnl'])}, fees {signed(run['fees'])}"
                  f" and funding {signed(run['funding'])} paid; on {run['capital']:,.0f}"),
        ("stops", stopped),
        ("risk impact", f"{several(risk['assessed'], 'order')} judged,"
                        f" {risk['refused_total']} refused ({counted(risk['refused'])}){cut}"),
    ]  # fmt: skip
    if last is not None:
        path = [last["fill_id"], last["order_id"], last["plan_id"], *last["signal_ids"]]
        path += [last["strategy"], f"genome {short(last['genome'])}"]
        pairs += [("last fill", " < ".join(one for one in path if one))]
        pairs += [("its story", f"genesis story {last['fill_id']} --run {run['run']}")]
    return pairs


def _order_table(orders: Sequence[Facts], title: str) -> Table:
    rows = tuple(
        (
            str(one["seq"]),
            one["order_id"],
            f"{one['purpose']}: {one['side']} {one['kind']} {amount(one['size'])}"
            + (f" at {amount(one['price'])}" if one["price"] else ""),
            f"{one['state']} {one['why']}".strip(),
            figure(one["average"], 8),
            bp(one["slippage_bp"]),
            amount(one["fees"]),
        )
        for one in orders
    )
    columns = ("#Event", "Order", "Asked", "Became", "#Average", "#Slippage", "#Fees")
    return Table(title, columns, rows)


def _fill_table(fills: Sequence[Facts], title: str) -> Table:
    rows = tuple(
        (
            str(one["seq"]),
            instant(one["ts_ms"]),
            one["fill_id"] or NONE,
            f"{one['purpose']}: {one['side']} {amount(one['size'])} {one['symbol']}",
            amount(one["price"]),
            "maker" if one["maker"] else "taker",
            amount(one["fee"]),
            bp(one["slippage_bp"]),
            bp(one["intent_slippage_bp"]),
            one["run"],
        )
        for one in fills
    )
    columns = ("#Event", "Time", "Fill", "What", "#Price", "Role", "#Fee", "#Slippage")
    note = "The story of a fill: genesis story FILL --run RUN" if rows else ""
    return Table(title, (*columns, "#Since the decision", "Run"), rows, note)


def expectation_view(facts: Facts) -> tuple[Rows, list[Table]]:
    """Live profit beside what was expected."""
    pairs: list[tuple[str, str]] = []
    for one in facts["deployments"]:
        live = share(one["live"][-1])
        pairs += [
            ("deployment", one["deployment"]),
            ("days", f"{one['days']:,}, {several(one['trades'], 'trade')}"),
            ("profit", f"{live} of capital; {share(one['expected'][-1])} was expected,"
                       f" the shadow backtest made {share(one['shadow'][-1])}"),
            ("Sharpe ratio", f"{figure(one['live_sharpe'])} live; {one['expected_sharpe']:.2f}"
                             f" expected, {one['sealed_sharpe']:.2f} on the sealed bars"),
            ("drawdown", f"{share(one['drawdown'], 3)} of {share(one['drawdown_bound_99'], 3)},"
                         f" the bootstrapped 99 % bound ({share(one['drawdown_bound_95'], 3)} at"
                         " 95 %)"),
            ("agrees with the shadow", f"{share(one['position_match'])} of bars"
                                       f" ({one['outside']} not compared), slippage"
                                       f" {figure(one['slippage'])} of the model's p75"),
        ]  # fmt: skip
        sums, judged = one["cusum"], one["health"]
        if sums is None:
            pairs += [("CUSUM", f"not known: {one['why']}")]
            continue
        bounds = f"amber from {sums['amber']:.1f}, red from {sums['red']:.1f}"
        pairs += [("CUSUM", f"{sums['now']:.2f}; {bounds}")]
        reasons = "; ".join(judged["reasons"]) or "no layer says otherwise"
        pairs += [("alarm", f"{judged['alarm']}: {reasons}")]
    return pairs, []
