"""`genesis paper`: strategies on the trading loop against a simulated or a test exchange."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from genesis.cli import paper_line, render
from genesis.cli.commands import whole
from genesis.cli.limits import LimitsFile
from genesis.cli.options import Json, Sizing, home_of, not_empty
from genesis.cli.paper_show import show_outcome, show_report

app = typer.Typer(no_args_is_help=True, help="Trade strategies on paper and judge the outcome.")

QUOTES = 8
"""Prices inside a bar where the loop watches stops itself: it acts on nothing else."""


@app.command("run")
def run(
    ctx: typer.Context,
    strategies: Annotated[
        list[str] | None,
        typer.Argument(help="Ids of stored strategies (or their beginnings), or JSON files."),
    ] = None,
    mode: Annotated[
        str, typer.Option("--mode", "-m", help=", ".join(paper_line.MODES) + ".")
    ] = "replay",
    dataset: Annotated[
        str | None, typer.Option("--dataset", "-d", help="venue:SYM[,SYM]:interval[:from..to]")
    ] = None,
    run_id: Annotated[str | None, typer.Option("--run", help="Id of the new run.")] = None,
    resume: Annotated[
        str | None, typer.Option("--resume", metavar="RUN", help="Go on with a stopped run.")
    ] = None,
    funding: Annotated[
        str, typer.Option(help="required, none, constant:RATE or proxy:SYM, as in backtest.")
    ] = "required",
    capital: Annotated[float, typer.Option(help="Reference capital of each strategy.")] = 100_000.0,
    leverage: Annotated[float, typer.Option(help="Sets the liquidation price.")] = 3.0,
    algorithm: Annotated[
        str, typer.Option(help="single, twap or iceberg: how entries and exits are executed.")
    ] = "single",
    slices: Annotated[
        int, typer.Option(help="Parts of a TWAP or iceberg order.", min=1, max=100)
    ] = 1,
    stops: Annotated[
        str, typer.Option(help="venue: stops rest on the exchange; loop: the loop watches quotes.")
    ] = "venue",
    news: Annotated[Path | None, typer.Option(help="File of news items.")] = None,
    schedule: Annotated[Path | None, typer.Option(help="File of schedules.")] = None,
    symbols: Annotated[
        str, typer.Option(help="Simulation: names of its symbols; testnet: coins to trade.")
    ] = "SYN1,SYN2",
    interval: Annotated[str, typer.Option(help="Simulation and testnet: length of a bar.")] = "1h",
    bars: Annotated[
        int, typer.Option(help="Simulation: bars of the market.", min=10, max=2_000_000)
    ] = 8_760,
    seed: Annotated[int, typer.Option(help="Simulation, slippage and latency.", min=0)] = 1,
    open_sealed: Annotated[
        bool, typer.Option("--open-sealed", help="Use sealed bars too; it is recorded.")
    ] = False,
    risk: Annotated[
        str, typer.Option("--risk", help="observe: risk is put on record; enforce: it cuts orders.")
    ] = "observe",
    risk_genome: Annotated[
        str,
        typer.Option(
            "--risk-genome", metavar="FILE|ID|accepted", help="Else the default genes of risk."
        ),
    ] = "",
    limits: LimitsFile = None,
    sizing: Sizing = "strategy",
    url: Annotated[
        str, typer.Option(help="Testnet: another server, such as http://127.0.0.1:3001.")
    ] = "",
    accounts: Annotated[
        list[str] | None,
        typer.Option("--account", metavar="0x…", help="Testnet: address; one for each strategy."),
    ] = None,
    key_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Testnet: encrypted key of the agent.")
    ] = None,
    passphrase_fd: Annotated[
        int, typer.Option(metavar="N", help="Descriptor with its passphrase; else it is asked for.")
    ] = -1,
    key_fd: Annotated[
        int, typer.Option(metavar="N", help="Testnet: descriptor that the key is read from.")
    ] = -1,
    keyring: Annotated[
        str, typer.Option(metavar="SERVICE/USER", help="Testnet: entry of the system's keyring.")
    ] = "",
    duration: Annotated[
        str, typer.Option("--for", metavar="2h", help="Testnet: close everything and end then.")
    ] = "",
    flatten: Annotated[
        bool, typer.Option("--flatten-on-exit", help="Testnet: Ctrl-C closes positions too.")
    ] = False,
    foreign: Annotated[
        str,
        typer.Option(
            metavar="POLICY", help="Testnet: resting orders of others: refuse, keep or cancel."
        ),
    ] = "",
    gateway: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Testnet: settings of the gateway, YAML.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Trade strategies on the event loop that also trades live.

    Every state change is stored before it acts, so a run can be stopped (Ctrl-C saves) or killed
    at any moment and continued with --resume. At the end performance, fidelity to the backtest of
    the same bars and a feedback score are reported; the score is written to each stored strategy.

    The risk manager judges every order. With --risk observe, the default, it only puts on record
    what it would cut; the hard limits (genesis risk limits) refuse in any case. With enforce it
    acts as it does live. --risk-genome accepted is the genome that live trading takes.
    --sizing lets the position sizer make entries smaller than the strategy asks for, never larger;
    kelly and evolved need a stored strategy, whose backtest says what it wins.

    Mode testnet trades in real time on Hyperliquid's testnet, or on a local exchange. Ctrl-C takes
    back resting entries, leaves stops and targets at the exchange, and saves; --resume compares
    the account with the exchange before it trades on. The key is an agent's, never the account's.

    Examples:

        genesis paper run strat_3fa9 --dataset binance_perp:BTCUSDT,ETHUSDT:1h

        genesis paper run strat_3fa9 strat_77b0 --mode backtest-validation -d synth:SYN1:4h

        genesis paper run breakout.json --mode simulation --symbols SYN1,SYN2 --bars 5000

        genesis paper run strat_3fa9 -d synth:SYN1:4h --risk enforce --risk-genome accepted

        genesis paper run strat_3fa9 -d synth:SYN1:4h --sizing volatility_adjusted

        genesis paper run --resume replay-20250131-120000

        genesis paper run strat_3fa9 -m testnet --symbols BTC --account 0x… --key-file agent.json

        genesis paper run ID -m testnet --url http://127.0.0.1:3001 --symbols SOL --interval 1m …
    """
    from genesis.cli import paper_testnet
    from genesis.cli.paper_progress import PaperProgress
    from genesis.system.paper import new_run_id, resume_paper, start_paper
    from genesis.system.workspace import Workspace

    workspace = Workspace(home_of(ctx))
    out = render.console(stderr=as_json)
    live = paper_testnet.Options(
        accounts or [],
        url,
        key_file,
        passphrase_fd,
        key_fd,
        keyring,
        duration,
        flatten=flatten,
        gateway=gateway,
        foreign=foreign,
    )
    on_testnet = mode == "testnet"
    if resume is not None:
        not_empty(resume)
        paper_line.refuse_live(workspace, resume)
        on_testnet = paper_testnet.is_live(workspace, resume)
        _refuse_with_resume(ctx, paper_testnet.OF_A_SITTING if on_testnet else ())
    paper_testnet.refuse_options(ctx, on_testnet=on_testnet)
    if on_testnet:
        if resume is not None:
            going = paper_testnet.resume(workspace, resume, live, out)
        else:
            chosen = paper_line.chosen_strategies(workspace, strategies, mode)
            judged = paper_line.chosen_risk(
                workspace, mode, risk, risk_genome, limits, sizing, chosen
            )
            options = paper_line.execution_options(algorithm, slices, stops, interval, sizing)
            going = paper_testnet.start(
                workspace, chosen, live, symbols, interval, capital, options, judged, run_id, out
            )
        paper_testnet.say_what_remains(going, out)
        show_outcome(going.run, as_json=as_json, note=going.note)
        return
    if resume is not None:
        with PaperProgress(out) as progress:
            done = resume_paper(workspace, resume, stopped=progress.stopped, told=progress.told)
    else:
        chosen = paper_line.chosen_strategies(workspace, strategies, mode)
        paper_line.check_execution(mode, algorithm, slices, capital)
        judged = paper_line.chosen_risk(workspace, mode, risk, risk_genome, limits, sizing, chosen)
        origins = {
            "news": paper_line.origin_file(news),
            "schedule": paper_line.origin_file(schedule),
        }
        market = paper_line.chosen_market(
            workspace,
            mode,
            dataset,
            funding,
            chosen,
            symbols,
            interval,
            bars,
            seed,
            open_sealed,
            QUOTES if stops == "loop" else 0,
        )
        settings = paper_line.run_settings(
            mode, chosen, market, capital, leverage, algorithm, slices, stops, origins, seed, judged
        )
        workspace.open().require_space()
        name = new_run_id(workspace, mode, run_id)
        with PaperProgress(out, total=market.feed.total) as progress:
            progress.begin(name, len(chosen), market.feed)
            done = start_paper(
                workspace, market, settings, name, stopped=progress.stopped, told=progress.told
            )
    show_outcome(done, as_json=as_json)


@app.command("report")
def report(
    ctx: typer.Context,
    name: Annotated[
        str | None, typer.Argument(metavar="[RUN]", help="Id of a run; the latest by default.")
    ] = None,
    page: Annotated[Path | None, typer.Option("--page", help="Write the HTML page here.")] = None,
    as_json: Json = False,
) -> None:
    """Show what a finished paper run did: performance, fidelity, feedback, advice.

    Examples:

        genesis paper report

        genesis paper report replay-20250131-120000 --page paper.html

        genesis paper report --json
    """
    from genesis.system.paper import report_paper
    from genesis.system.workspace import Workspace

    found, written = report_paper(Workspace(home_of(ctx)), name, page)
    if as_json:
        render.emit({"paper": found.to_plain(), "page": str(written)})
    else:
        show_report(found)
        render.console().print(f"{'page':8} {written}", markup=False)


@app.command("list")
def list_runs(ctx: typer.Context, as_json: Json = False) -> None:
    """List the paper runs of the workspace.

    Examples:

        genesis paper list

        genesis paper list --json
    """
    from genesis.system.paper import list_paper
    from genesis.system.workspace import Workspace

    rows = list_paper(Workspace(home_of(ctx)))
    if as_json:
        render.emit({"runs": rows})
        return
    if not rows:
        text = "no paper run yet: genesis paper run STRATEGY --dataset …"
        render.console().print(whole(text))
        return
    columns = [("run", "left"), ("mode", "left"), ("strategies", "right"), ("state", "left")]
    body = [(r["run"], r["mode"], str(r["strategies"]), r["state"]) for r in rows]
    render.console().print(render.table(columns, body))


def _refuse_with_resume(ctx: typer.Context, allowed: Sequence[str]) -> None:
    from genesis.cli.paper_testnet import given_options
    from genesis.domain.errors import InputError

    given = [name for name in given_options(ctx) if name not in ("resume", "as_json", *allowed)]
    if given:
        words = ", ".join("--" + name.replace("_", "-") for name in given)
        raise InputError(
            f"--resume cannot be combined with {words}",
            why="a resumed run keeps what it was started with",
            fix="leave them out, or begin another run",
        )
