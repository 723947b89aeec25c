"""Switch off what a gate stands on and see its own bound break.

Each arm judges noise by one gate alone (a rehearsal file with nothing else), as it is and
sabotaged: ``ledger`` tells the deflated Sharpe ratio that there was one trial; ``seal`` gives every
candidate the level of the first, as if the sealed bars could be opened again and again.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from campaigns import Market, allowed, campaign

GATES = """
schema: 1
name: alone
rehearsal: true
settings: {{candidates: 20, noise_draws: 1, sample_genomes: 10, lottery_arms: 1}}
gates:
  {gate}
"""
ALONE = {
    "ledger": "deflated_sharpe: {at_least: 0.6}",
    "seal": "sealed_psr: {at_least: 0.0}",
}
BOUNDS = {"ledger": 0.43, "seal": 0.375}
"""Share of noise campaigns that may pass: the gate's own bound in the noise benchmark; the whole
budget of a span, over all twenty candidates."""


@contextmanager
def ledger_off() -> Iterator[None]:
    """Count one trial, whatever was tried."""
    from genesis.evidence import validate as module

    honest = module.multiplicity

    def one(*args: Any, **kwargs: Any) -> Any:
        return replace(honest(*args, **kwargs), effective=1.0)

    with patch.object(module, "multiplicity", one):
        yield


@contextmanager
def seal_off() -> Iterator[None]:
    """Give every candidate the level of the first."""
    from genesis.evidence import sealed as module

    honest = module.level_after
    with patch.object(module, "level_after", lambda _, settings: honest([], settings)):
        yield


OFF: dict[str, Callable[[], Any]] = {"ledger": ledger_off, "seal": seal_off}


def pass_rate(what: str, seeds: range, *, off: bool) -> int:
    """Noise campaigns that pass the gate alone, honest or sabotaged."""
    text = GATES.format(gate=ALONE[what])
    count = 0
    for seed in seeds:
        market = Market("garch_t", seed)
        if off:
            with OFF[what]():
                row = campaign(market, text, 19)
        else:
            row = campaign(market, text, 19)
        count += row["promoted"] > 0
        print(f"{what} {'off' if off else 'on'} seed {seed}: {count}", file=sys.stderr)
    return count


def sabotage(what: str, campaigns: int, first_seed: int, workers: int) -> int:
    """Print one JSON object; exit 0 if the honest gate holds and the sabotaged one breaks."""
    del workers  # one process: the patches live in it
    seeds = range(first_seed, first_seed + campaigns)
    honest, broken = (pass_rate(what, seeds, off=off) for off in (False, True))
    bound = allowed(BOUNDS[what], campaigns)
    checks = {
        f"honest: {honest} of {campaigns}, at most {bound:.1f}": honest <= bound,
        f"sabotaged: {broken} of {campaigns}, more than {bound:.1f}": broken > bound,
    }
    report = {
        "name": f"noise, {what} off",
        "value": broken / campaigns,
        "unit": "share of noise campaigns that pass the gate alone when it is sabotaged",
        "reference": honest / campaigns,
        "ratio": broken / max(honest, 1),
        "checks": checks,
    }
    print(json.dumps(report))
    return 0 if all(checks.values()) else 1
