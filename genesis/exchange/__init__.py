"""Adapters of the trading core's gateway port, one folder an exchange."""
