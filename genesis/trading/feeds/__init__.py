"""Feeds: datasets, synthetic markets, live bars, and the files of schedules and news."""
