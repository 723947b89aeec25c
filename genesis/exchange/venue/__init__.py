"""A local exchange that speaks Hyperliquid's protocol: core, protocol around it, journal."""
