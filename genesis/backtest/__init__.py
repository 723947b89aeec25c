"""Order list, vectorbt accounting, metrics, portfolio, reports."""
