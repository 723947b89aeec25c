"""Frozen values, time, identity and the error tree. Imports nothing else from genesis."""
