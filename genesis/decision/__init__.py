"""Decisions about strategies: rules, engine, reviews, deployments, and the log of all of them."""
