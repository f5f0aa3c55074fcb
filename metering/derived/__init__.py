"""Derived meters: rates, percentages and sums worked out of other meters' samples (docs/derived.md)."""
