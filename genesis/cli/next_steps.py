"""What to do after a validation, by what stopped the strategies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from genesis.cli.commands import whole

if TYPE_CHECKING:
    from genesis.evidence.dossier import Dossier
    from genesis.evidence.validate import Validation

SEARCH = "search elsewhere, with other families or more data: genesis evolve CONFIG"
STURDIER = "search longer or on more data, for a sturdier strategy: genesis evolve CONFIG"
LOOSER = "loosen the study's constraints or search longer: genesis evolve CONFIG"
ORIGIN = (
    "import it again with its ledgers beside it: genesis strategies import FILE.json;"
    " or validate it in the workspace that bred it"
)
USED_UP = (
    "these sealed bars can prove nothing for it any more; only bars that nobody has seen can:"
    " genesis data fetch DATASET, then genesis evolve CONFIG"
)
ANSWERED = (
    "its sealed bars have answered, and are not asked again; search elsewhere, or wait for newer"
    " bars: genesis evolve CONFIG"
)
WRONG = (
    "what is computed wrong can be judged by no gate: mend the family that it was bred from"
    " (genesis seeds list), then genesis evolve CONFIG"
)
_COMPUTED = frozenset(("prefix_invariance", "accounting_error"))


def next_steps(validation: Validation) -> list[str]:
    """Sentences with the command lines to go on with, nearest to a promotion first."""
    passed = [one.dossier.strategy for one in validation.promotable]
    if passed and validation.gates.rehearsal:
        steps = [
            f"genesis strategies explain {passed[0]}",
            f"practise its promotion: {_practice(validation.promotable[0].dossier)}",
            f"let the production gates decide: genesis validate {validation.run_id}",
        ]
    elif passed:
        steps = [
            "genesis strategies list --promotable",
            f"genesis strategies explain {passed[0]}",
        ]
    elif not validation.judged:
        steps = [LOOSER]
    else:
        ranked = sorted(_advice(one.dossier) for one in validation.judged)
        steps = list(dict.fromkeys(step for _, step in ranked))
    return [whole(step) for step in steps]


def _practice(dossier: Dossier) -> str:
    """The step that a rehearsal leads to, with the symbols that it was bred on."""
    from genesis.domain.instrument import base_asset

    words = str(dossier.facts.get("dataset", "")).split(":")
    names = [base_asset(name) for name in words[1].split(",")] if len(words) > 1 else ["SYMBOLS"]
    return (
        f"genesis promote {dossier.strategy} --to paper --target loopback --account 0x…"
        f" --symbols {','.join(names)} --cap 1000"
    )


def _advice(dossier: Dossier) -> tuple[int, str]:
    """How near a refused strategy came, and what may help."""
    facts = dossier.facts
    failed = [gate for gate in dossier.gates if gate["verdict"] == "fail"]
    names = {gate["measure"] for gate in failed}
    stages = {gate["stage"] for gate in failed}
    if names & _COMPUTED:
        return 5, WRONG
    if "G1" in stages:
        return 4, SEARCH
    if stages == {"G3"}:
        return 1, USED_UP if "void" in (facts["details"].get("sealed") or {}) else ANSWERED
    if names == {"correlation"}:
        return 0, _twin(failed)
    if not names:  # only its origin
        return 2, ORIGIN
    return 3, STURDIER


def _twin(failed: Sequence[Mapping[str, Any]]) -> str:
    """Advice on a strategy that does what another one does already."""
    other = str(failed[0]["note"]).removeprefix("with ")
    return (
        f"it does what a promoted strategy does already, so nothing is lost:"
        f" genesis strategies explain {other}; for another edge, search with other families"
    )
