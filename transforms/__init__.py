"""PTransforms over Arrow batches: decode, shard, normalize."""
