"""Real servers for tests: each private, on loopback, on free ports, stopped by its own pid."""
