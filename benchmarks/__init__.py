"""Benchmarks: each prints its figures with their conditions; none is a test. See docs/benchmarks.md."""
