"""Live gateway to Hyperliquid: signed orders, its websockets, and the truth about an account."""
