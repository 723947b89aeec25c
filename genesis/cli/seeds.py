"""`genesis seeds`: the families that strategies are bred from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from genesis.cli import render
from genesis.cli.options import Json, SeedPaths

if TYPE_CHECKING:
    from genesis.strategy.registry import SeedRegistry
    from genesis.strategy.seed import Seed

app = typer.Typer(no_args_is_help=True, help="Seed families: what they trade on and their genes.")


@app.command("list")
def list_seeds(
    kind: Annotated[str | None, typer.Option(help="Only families of this kind.")] = None,
    primitives: Annotated[
        bool, typer.Option("--primitives", help="List the primitives of expressions instead.")
    ] = False,
    path: SeedPaths = None,
    as_json: Json = False,
) -> None:
    """List the seed families.

    Examples:

        genesis seeds list --kind mean_reversion

        genesis seeds list --path my_families.py

        genesis seeds list --primitives
    """
    if primitives:
        _list_primitives(as_json)
        return
    registry = _registry(path)
    families = [registry.get(name) for name in registry.names(kind=_kind(kind))]
    if as_json:
        render.emit({"seeds": [_plain(family) for family in families]})
        return
    rows = [
        (f.family, str(f.kind), str(len(f.genes())), "yes" if f.ml else "", f.idea())
        for f in families
    ]
    columns = [("family", "left"), ("kind", "left"), ("genes", "right"), ("fits", "left")]
    render.console().print(render.table([*columns, ("idea", "left")], rows))


@app.command("show")
def show_seed(
    name: Annotated[str, typer.Argument(help="Name of a family.")],
    path: SeedPaths = None,
    as_json: Json = False,
) -> None:
    """Show a family: its idea, its genes and its default strategy.

    Examples:

        genesis seeds show donchian

        genesis seeds show my_family --path my_families.py --json
    """
    from genesis.strategy.explain import sentence
    from genesis.strategy.genome import POLICY_GENES, default_genome

    registry = _registry(path)
    family = registry.get(name)
    strategy = registry.express(default_genome(family))
    payload = {
        **_plain(family),
        "policy_genes": [_gene(gene) for gene in POLICY_GENES.values()],
        "default": {"id": strategy.id, "sentence": sentence(strategy)},
    }
    if as_json:
        render.emit({"seed": payload})
        return
    out = render.console()
    out.print(f"[bold]{family.family}[/]  {family.kind}\n{family.idea()}\n")
    rows = [
        (key, gene.bounds_text, render.number(gene.default, 4), gene.doc)
        for key, gene in family.genes().items()
    ]
    columns = [("gene", "left"), ("bounds", "left"), ("default", "right"), ("meaning", "left")]
    out.print(render.table(columns, rows))
    out.print("with its default genes:", style="bold")
    out.print(sentence(strategy), markup=False)


def _list_primitives(as_json: bool) -> None:
    import genesis.strategy.language  # noqa: F401  registers the primitives
    from genesis.strategy.node import OPS

    ops = [OPS[name] for name in sorted(OPS)]
    if as_json:
        keys = ("name", "args", "params", "boolean", "sentence")
        render.emit({"primitives": [{key: getattr(op, key) for key in keys} for op in ops]})
        return
    rows = [
        (op.name, op.args, ", ".join(op.params), "condition" if op.boolean else "number")
        for op in ops
    ]
    columns = [("primitive", "left"), ("operands", "left"), ("parameters", "left")]
    render.console().print(render.table([*columns, ("result", "left")], rows))


def _registry(paths: list[Path] | None) -> SeedRegistry:
    from genesis.strategy.registry import SeedRegistry

    registry = SeedRegistry()
    for path in paths or ():
        registry.load(path)
    return registry


def _kind(word: str | None) -> Any:
    if word is None:
        return None
    from genesis.domain.errors import InputError, did_you_mean
    from genesis.strategy.seed import SeedKind

    words = [str(kind) for kind in SeedKind]
    if word.lower() not in words:
        raise InputError(
            f"unknown kind '{word}'{did_you_mean(word, words)}",
            fix=f"use one of {', '.join(words)}",
        )
    return SeedKind(word.lower())


def _gene(gene: Any) -> dict[str, Any]:
    return {
        "name": gene.name,
        "bounds": gene.bounds_text,
        "values": len(gene),
        "default": gene.default,
        "unit": gene.unit,
        "doc": gene.doc,
    }


def _plain(family: type[Seed]) -> dict[str, Any]:
    return {
        "family": family.family,
        "kind": str(family.kind),
        "ml": family.ml,
        "needs": family.needs,
        "idea": family.idea(),
        "genes": [_gene(gene) for gene in family.genes().values()],
    }
