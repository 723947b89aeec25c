"""Statistics that tell an edge from a lucky search: arrays in, numbers out.

Sharpe ratios here are per period (mean over sd of one return) unless a name says annual. Returns
are fractions of capital and finite; rows are time, columns are strategies.
"""
