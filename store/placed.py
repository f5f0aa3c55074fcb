"""Which rows are of a place's resources, as SQL; the engine's xxHash64 is that of metering.places."""

from metering.places import Place


def placed(place: Place) -> str:
    """Return the condition on a row's `resource_id`; it has no parameters."""
    if place.count == 1:
        return "1"
    shard = f"xxHash64(resource_id) % {place.shards:d}"
    return f"{shard} % {place.count:d} = {place.number:d}"
