"""What the gates measure, and with which numbers promotion is measured."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

Share = Annotated[float, Meta(gt=0.0, lt=1.0)]
Positive = Annotated[float, Meta(gt=0.0)]
Count = Annotated[int, Meta(ge=1)]

PROMOTION_STAGES = ("G4", "G5", "G6")

MEASURES: dict[str, tuple[str, str]] = {
    "prefix_invariance": ("G0", "orders that change when later bars are added"),
    "accounting_error": ("G0", "relative difference of order cash flows and vectorbt's equity"),
    "trades": ("G0", "closed trades on the searched bars, all symbols"),
    "permutation_sign": ("G1", "p value of the search against sign-randomised markets"),
    "permutation_shuffle": ("G1", "p value of the search against bar-shuffled markets"),
    "lottery": ("G1", "share of lottery arms that the search's best strategy beats"),
    "sample_spa": ("G1", "Hansen's SPA p value of the fixed sample of random strategies"),
    "sample_pbo": ("G1", "probability of backtest overfitting of the fixed sample"),
    "random_arm": ("G1", "best fitness of the search less that of its random arm"),
    "deflated_sharpe": ("G2", "deflated Sharpe ratio, null variance, effective trials"),
    "deflated_sharpe_ledger": (
        "G2",
        "the same, variance and number of the different trials",
    ),
    "track_record": ("G2", "MinTRL(0, 95 %) over the length of the searched data"),
    "cpcv_p25": ("G2", "25th percentile of the Sharpe ratios of the CPCV paths"),
    "walk_forward_efficiency": ("G2", "mean Sharpe ratio out of sample over in sample"),
    "plateau_median": ("G2", "median Sharpe ratio of the grid neighbours over its own"),
    "plateau_p10": ("G2", "10th percentile of the neighbours' Sharpe ratios"),
    "noise_profitable": ("G2", "share of jittered markets with a profit"),
    "trade_bootstrap": ("G2", "5th percentile of the bootstrapped mean over sd of trades"),
    "without_top5": ("G2", "mean over sd of trades without the five best"),
    "sharpe_2x": ("G2", "Sharpe ratio at twice fees and slippage"),
    "replay_sharpe": ("G2", "mean Sharpe ratio of three disjoint windows, each replayed alone"),
    "replay_consistency": ("G2", "1 - sd / max(|mean|, 0.1) of the three windows' Sharpe ratios"),
    "correlation": ("G2", "highest correlation with a strategy that was promoted before"),
    "sealed_psr": ("G3", "PSR(0) on the sealed bars less what the alpha left demands"),
    "sealed_ratio": ("G3", "Sharpe ratio on the sealed bars over that on the searched bars"),
}
"""Every measure of a dossier: its stage, and what it is."""

PROMOTION_MEASURES: dict[str, tuple[str, str]] = {
    "paper_days": ("G4", "days of paper trading, each counted once"),
    "paper_trades": ("G4", "closed trades in them"),
    "paper_position_match": ("G4", "share of bars times symbols with the backtest's position"),
    "paper_held_match": ("G4", "the same share of those at which either side holds one"),
    "paper_slippage": ("G4", "mean slippage over the model's 75th percentile"),
    "paper_equivalence": ("G4", "TOST p value of daily profit, paper less shadow backtest"),
    "paper_sanity": ("G4", "e-value against a share of the sealed Sharpe ratio"),
    "canary_days": ("G5", "days since the canary began"),
    "canary_position_match": ("G5", "as paper_position_match, of the orders on the exchange"),
    "canary_held_match": ("G5", "as paper_held_match, of the orders on the exchange"),
    "canary_slippage": ("G5", "as paper_slippage, of the orders on the exchange"),
    "canary_equivalence": ("G5", "as paper_equivalence, of the orders on the exchange"),
    "canary_drawdown": ("G5", "drawdown over the bootstrapped 95 % bound of as many days"),
    "canary_upper_bound": ("G5", "upper confidence bound of the annual Sharpe ratio, at any time"),
    "step_days": ("G6", "days at this size; the least number where the ratio accelerates"),
    "step_sprt": ("G6", "log-likelihood ratio of the shrunk Sharpe ratio against none"),
}
"""Every measure of promotion: its stage, and what it is."""


class PromotionSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How G4 to G6 are measured, and what demotes and limits deployments.

    Attributes
    ----------
    equivalence_margin : float
        Margin of the TOST, in standard deviations of the shadow's daily profit.
    sanity_share : float
        Share of the sealed Sharpe ratio that the e-process bets against.
    clip_sd : float
        Standardised daily returns beyond it are held at it.
    haircut_tau : float
        Standard deviation of true annual Sharpe ratios, the prior that shrinks a measured one.
    drawdown_draws, drawdown_seed : int
        Paths of the drawdown bootstrap.
    confidence_alpha : float
        Error of the confidence sequence.
    confidence_days : int
        Length for which it is narrowest.
    sprt_accelerate : float
        Log-likelihood ratio from which a step needs no further days.
    cusum_amber_years, cusum_red_years : float
        Mean time between false alarms that halve the size, and that send back to paper.
    break_position_match, break_slippage : float
        Agreement below, and slippage over the model's 75th percentile above, which the fidelity of
        a live deployment is broken.
    break_days : float
        Days that must be compared before that is judged.
    concurrent, deployed : int
        Most deployments in the canary stage, and most beyond paper in all.
    strategy_share, cluster_share : float
        Most of the whole capital for a strategy, and for a cluster of correlated ones.
    cluster_correlation : float
        Correlation of daily returns from which two strategies are one cluster.
    kelly : float
        Fraction of the Kelly size that the whole book may have.
    correlation_margin : float
        A strategy's Sharpe ratio must exceed correlation times that of the book by so much.
    """

    equivalence_margin: Positive = 0.1
    sanity_share: Share = 0.5
    clip_sd: Positive = 4.0
    haircut_tau: Positive = 0.5
    drawdown_draws: Annotated[int, Meta(ge=100)] = 2_000
    drawdown_seed: Annotated[int, Meta(ge=0)] = 1
    confidence_alpha: Share = 0.05
    confidence_days: Count = 365
    sprt_accelerate: float = 2.77
    cusum_amber_years: Positive = 1.0
    cusum_red_years: Positive = 5.0
    break_position_match: Share = 0.95
    break_slippage: Positive = 2.0
    break_days: Positive = 5.0
    concurrent: Count = 5
    deployed: Count = 10
    strategy_share: Share = 0.10
    cluster_share: Share = 0.30
    cluster_correlation: Share = 0.7
    kelly: Annotated[float, Meta(gt=0.0, le=1.0)] = 0.25
    correlation_margin: Annotated[float, Meta(ge=0.0)] = 0.1
