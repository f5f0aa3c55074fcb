-- When a row was written again, or as a settled one: 1970 where it stands as it came. A process that ends there
-- may not have gone on with what follows from it, and `recorded_at` may be long ago.
ALTER TABLE {database}.samples ADD COLUMN IF NOT EXISTS revised_at DateTime('UTC') DEFAULT toDateTime(0) CODEC(ZSTD(1));
ALTER TABLE {database}.samples ADD INDEX IF NOT EXISTS by_revision revised_at TYPE minmax GRANULARITY 1;
