"""Decisions, approvals, stages, alerts and kills, in words."""

from __future__ import annotations

from genesis.system.strategy_evidence_words import (
    NONE,
    Facts,
    Rows,
    Table,
    counted,
    instant,
    latest_rows,
    short,
)


def decisions_view(facts: Facts) -> tuple[Rows, list[Table]]:
    """Decisions with their rules and reviews."""
    rows = facts["decisions"]
    open_ones = [one["decision"] for one in rows if one["state"] == "open"]
    last = rows[-1]
    pairs = [
        ("decisions", f"{len(rows):,}; reviews open: {', '.join(open_ones) or 'none'}"),
        ("latest", f"{last['kind']}: {last['action'] or 'an error'}, {_carried(last)},"
                   f" confidence {last['confidence']:.2f}, {instant(last['ts_ms'])}"),
        ("look at it", last["check"]),
    ]  # fmt: skip
    latest, title = latest_rows(rows, "Decisions")
    cells = tuple(
        (
            str(one["seq"]),
            instant(one["ts_ms"]),
            one["decision"],
            f"{one['kind']}: {one['action'] or 'an error'}",
            _carried(one),
            f"{one['confidence']:.2f}",
            _review(one),
            "; ".join(one["reasons"]),
            short(one["rules_hash"]),
        )
        for one in latest
    )
    columns = ("#Row", "Time", "Decision", "What", "Done", "#Confidence", "~Review", "~Rules")
    return pairs, [Table(title, (*columns, "Rules file"), cells)]


def _carried(one: Facts) -> str:
    return "carried out" if one["carried_out"] else "not carried out by itself"


def _review(one: Facts) -> str:
    if not one["state"]:
        return "none asked for"
    due = f", due {instant(one['deadline_ms'])}" if one["deadline_ms"] else ""
    if one["state"] == "open":
        return f"open, {one['urgency']}{due}"
    by = f" by {one['resolved_by']}" if one["resolved_by"] else ""
    row = f", row {one['resolved_seq']}" if one["resolved_seq"] else ""
    why = f": {one['resolution']}" if one["resolution"] else ""
    return f"{one['state']}{by} {instant(one['resolved_ms'])}{row}{why}"


def approvals_view(facts: Facts) -> tuple[Rows, list[Table]]:
    """Approvals and whether their one use is spent."""
    rows = facts["approvals"]
    pairs = [
        (one["to_stage"], f"{one['who']} {instant(one['ts_ms'])}, at most {one['max_usd']} USD on"
                          f" {one['target']}, one use: {_use(one)}")
        for one in rows
    ]  # fmt: skip
    cells = tuple(
        (
            str(one["seq"]),
            one["approval"],
            f"{one['from_stage']} > {one['to_stage']}",
            one["who"],
            one["form"],
            one["max_usd"],
            instant(one["expires_ms"]),
            _use(one),
            one["account"],
            one["reason"] or NONE,
        )
        for one in rows
    )
    columns = ("#Row", "Approval", "Step", "Who", "Form", "#Most USD", "Expires", "One use")
    return pairs, [Table("Approvals", (*columns, "Account", "~Reason"), cells)]


def _use(one: Facts) -> str:
    return f"used by row {one['used_seq']}" if one["state"] == "used" else str(one["state"])


def stages_view(facts: Facts) -> tuple[Rows, list[Table]]:
    """Deployments and every step of their careers."""
    pairs: list[tuple[str, str]] = []
    tables: list[Table] = []
    for one in facts["deployments"]:
        stage = f"{one['stage']} {one['mark']}".strip()
        pairs += [
            ("deployment", one["deployment"]),
            ("stage", f"{stage} since {instant(one['since_ms'])}, {one['capital']} of {one['cap']}"
                      f" USD in {', '.join(one['symbols'])}; dossier {short(one['dossier_hash'])}"),
            ("career", " > ".join(step["to_stage"] for step in one["steps"])),
        ]  # fmt: skip
        rows = tuple(_step(step) for step in one["steps"])
        columns = ("#Row", "Time", "Step", "#USD", "Who", "~Why", "Approval", "~Gates", "~Logs")
        tables.append(Table(f"Steps of {one['deployment']}", columns, rows))
    return pairs, tables


def _step(step: Facts) -> tuple[str, ...]:
    gates = ", ".join(
        f"{one['measure']} {one['value']} ({one['needs']})" for one in step["gates"] if one["veto"]
    )
    logs = ", ".join(
        f"{one['run']} to event {one['events']}, {short(one['head'])}: {one['state']}"
        for one in step["logs"]
    )
    return (
        str(step["seq"]),
        instant(step["ts_ms"]),
        f"{step['move']}: {step['from_stage'] or 'new'} > {step['to_stage']}",
        step["capital"],
        step["who"],
        step["reason"] or NONE,
        step["approval"] or NONE,
        gates or NONE,
        logs or NONE,
    )


def alerts_view(facts: Facts) -> tuple[Rows, list[Table]]:
    """Alerts, breakers, halts and kills."""
    kills = [f"{one['what']} by {one['who']}: {one['reason']}" for one in facts["kills"]]
    pairs = [
        ("alerts", f"{facts['alerts_total']:,}"),
        ("breakers", counted(facts["breakers"])),
        ("halts", f"{len(facts['halts']):,}"),
        ("kills", "; ".join(kills) or "none"),
        ("kill latch", facts["latch"] or "not set"),
    ]
    named = tuple((title, f"{count:,}") for title, count in facts["by_title"].items())
    latest, title = latest_rows(facts["alerts"], "Alerts")
    rows = tuple(
        (
            str(one["seq"]),
            instant(one["ts_ms"]),
            one["level"],
            f"{one['title']}: {one['text']}",
            f"{one['told'] or 'not in the outbox'} {one['alert_id']}".strip(),
            one["acknowledged_by"] or "nobody yet",
        )
        for one in latest
    )
    halts = tuple(
        (str(one["seq"]), instant(one["ts_ms"]), one["scope"], one["reason"])
        for one in facts["halts"]
    )
    killed = tuple(
        (
            str(one["seq"]),
            instant(one["ts_ms"]),
            one["what"],
            one["scope"],
            one["who"],
            one["reason"],
        )
        for one in facts["kills"]
    )
    columns = ("#Event", "Time", "Level", "~What", "Told", "Known to")
    return pairs, [
        Table("Alerts by kind", ("Alert", "#Count"), named),
        Table(title, columns, rows),
        Table("Halts", ("#Event", "Time", "Scope", "~Reason"), halts),
        Table("Kills", ("#Row", "Time", "What", "Scope", "Who", "~Reason"), killed),
    ]
