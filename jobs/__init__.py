"""Wiring: which transforms follow which, and how a process runs them."""
