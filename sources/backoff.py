"""How long to wait before trying again."""

import random


def pause(failures: int, least: float, most: float) -> float:
    """Return seconds to wait after so many failures in a row (1 or more): doubling, with jitter."""
    longest: float = least * 2.0 ** min(failures - 1, 30)
    return min(longest, most) * random.uniform(0.5, 1.0)
