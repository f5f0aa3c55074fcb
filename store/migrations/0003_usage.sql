-- A sample that came when its window was final: 0 in time, 1 late and out of usage, 2 late and
-- counted by a restatement since. It never goes back to 0, so the index is right under FINAL.
ALTER TABLE {database}.samples ADD COLUMN IF NOT EXISTS late UInt8 DEFAULT 0 CODEC(ZSTD(1));
ALTER TABLE {database}.samples ADD INDEX IF NOT EXISTS by_late late TYPE minmax GRANULARITY 1;

-- Usage: of a series in the window [start, start + period), a row each owner, segment, type and unit; the newest
-- version only. Natural key: the sort key. `interim` rows may still grow with samples in order;
-- whether a row is final is told by `usage_final`. `amount` is usage before it is divided (of a gauge
-- unit x ms), so that rows added up again give the same bytes.
CREATE TABLE IF NOT EXISTS {database}.usage
(
    meter LowCardinality(String),
    type Enum8('gauge' = 1, 'delta' = 2, 'cumulative' = 3),
    unit LowCardinality(String),
    project_id LowCardinality(String),
    user_id LowCardinality(String),
    resource_id String CODEC(ZSTD(1)),
    segment LowCardinality(String),
    period UInt32,
    start DateTime('UTC') CODEC(Delta, ZSTD(1)),
    count UInt32 CODEC(ZSTD(1)),
    first Nullable(Float64) CODEC(ZSTD(1)),
    last Nullable(Float64) CODEC(ZSTD(1)),
    sum Float64 CODEC(ZSTD(1)),
    min Nullable(Float64) CODEC(ZSTD(1)),
    max Nullable(Float64) CODEC(ZSTD(1)),
    usage Float64 CODEC(ZSTD(1)),
    covered Nullable(Float64) CODEC(ZSTD(1)),
    cadence UInt32 CODEC(ZSTD(1)),
    first_at Nullable(DateTime64(3, 'UTC')) CODEC(ZSTD(1)),
    last_at Nullable(DateTime64(3, 'UTC')) CODEC(ZSTD(1)),
    amount Float64 CODEC(ZSTD(1)),
    interim UInt8,
    restated UInt8,
    is_deleted UInt8,
    version UInt64 CODEC(Delta, ZSTD(1)),
    INDEX by_resource resource_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree(version, is_deleted)
PARTITION BY (period, toYYYYMM(start))
ORDER BY (meter, period, project_id, resource_id, start, user_id, segment, type, unit);

-- Every version of a usage row, for what was known at a time. Interim ones go after a week.
CREATE TABLE IF NOT EXISTS {database}.usage_versions AS {database}.usage
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(start)
ORDER BY (meter, period, project_id, resource_id, start, user_id, segment, type, unit, version)
TTL start + INTERVAL 8 DAY DELETE WHERE interim = 1;

-- Up to when the windows of each shard are final, and since when. Natural key: the sort key.
CREATE TABLE IF NOT EXISTS {database}.usage_final
(
    shards UInt32,
    shard UInt32,
    until DateTime64(3, 'UTC'),
    at DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(at)
ORDER BY (shards, shard, until);
