"""Learners: primitives that fit a model on past bars again and again, and predict with it.

A learner is an ordinary kernel with state: a ring of past samples and the fitted model live in
its float64 state array, a fit happens on every ``refit``-th valid bar, and the whole is compiled.
So it is bit-equal for any split into blocks, a snapshot of it is plain data, and a stored strategy
trades without a machine-learning library. Nothing depends on a BLAS, a thread count or a global
random source: a fit is a pure function of the past window, the parameters and the seed.

The refit grid counts valid bars from the first one, so signals depend on the anchor bar; a live
run starts from the recorded anchor or a snapshot of the state.

Importing this package registers the primitives ``svc`` and ``quantile_forest``.
"""

from genesis.strategy.learners import linear_svc, quantile_forest

__all__ = ["linear_svc", "quantile_forest"]
