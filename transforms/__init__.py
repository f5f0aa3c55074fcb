"""PTransforms over Arrow batches: decode, normalize, derive, usage, alarms."""
