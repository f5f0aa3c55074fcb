-- A sample tells whether it came when its window was final, and was restated since.
CREATE OR REPLACE VIEW {database}.v_samples
(
    meter String COMMENT 'what is measured, such as disk.read.bytes',
    type String COMMENT 'gauge, delta or cumulative',
    unit String COMMENT 'unit of volume',
    volume Float64 COMMENT 'the value',
    resource_id String COMMENT 'what was measured',
    project_id String COMMENT 'the project that owns the resource; empty where unknown',
    user_id String COMMENT 'the user; empty where unknown',
    timestamp DateTime64(3, 'UTC') COMMENT 'when it was measured',
    source String COMMENT 'where the sample came from',
    resource_metadata Map(String, String) COMMENT 'metadata of the resource, flattened to dotted keys',
    message_id String COMMENT 'id of the sample; forgotten after a day',
    recorded_at DateTime('UTC') COMMENT 'when we took it in',
    late String COMMENT 'empty where in time; late: came when its window was final, and is not in usage; restated: late, and in usage since'
)
AS SELECT meter, type, unit, volume, resource_id, project_id, user_id, timestamp, source,
    JSONExtract(metadata, 'Map(String, String)') AS resource_metadata, message_id, recorded_at,
    transform(samples.late, [1, 2], ['late', 'restated'], '') AS late
FROM {database}.samples FINAL
COMMENT 'every sample that counts, each once';

-- Since when usage holds every sample that counts, by period: samples that were stored before the
-- period was worked out are in none of its windows. Natural key: the period.
CREATE TABLE IF NOT EXISTS {database}.usage_since
(
    period UInt32,
    since DateTime('UTC'),
    is_deleted UInt8,
    version UInt64
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY period;

-- The newest version of every usage row of every period, with what follows from it. Every shard of
-- the newest number of shards must have said up to when it is final, else nothing is.
CREATE OR REPLACE VIEW {database}.usage_rows
AS WITH (
    SELECT if(count() = max(shards), min(until), toDateTime64(0, 3, 'UTC'))
    FROM (
        SELECT shards, shard, max(until) AS until FROM {database}.usage_final
        WHERE shards = (SELECT argMax(shards, at) FROM {database}.usage_final)
        GROUP BY shards, shard
    )
) AS final_until
SELECT meter, toString(type) AS type, unit, resource_id, project_id, user_id, segment, period, start,
    start + period AS end, count, first, last, sum, min, max,
    if(usage.type = 'gauge' AND covered > 0, usage.usage / (covered / 3600), NULL) AS average,
    usage, covered,
    if(cadence > 0, toUInt32(round(period * 1000 / cadence)), NULL) AS expected,
    covered / period AS complete,
    multiIf(restated = 1, 'restated', start + period <= final_until, 'final', 'open') AS state,
    version
FROM {database}.usage FINAL;

CREATE OR REPLACE VIEW {database}.v_usage_hourly
(
    meter String COMMENT 'what is measured, such as disk.read.bytes',
    type String COMMENT 'gauge, delta or cumulative',
    unit String COMMENT 'unit of the volumes',
    resource_id String COMMENT 'what was measured',
    project_id String COMMENT 'the project that owned the resource; empty where unknown',
    user_id String COMMENT 'the user; empty where unknown',
    segment String COMMENT 'value of the metadata that splits rows, such as flavor=m1.small; empty where none',
    period UInt32 COMMENT 'seconds the window is long',
    start DateTime('UTC') COMMENT 'when the window begins',
    `end` DateTime('UTC') COMMENT 'when it ends; not part of it',
    count UInt32 COMMENT 'samples in the window',
    first Nullable(Float64) COMMENT 'volume of the first of them',
    last Nullable(Float64) COMMENT 'volume of the last of them',
    sum Float64 COMMENT 'sum of their volumes; of a cumulative meter its growth in the window',
    min Nullable(Float64) COMMENT 'least volume',
    max Nullable(Float64) COMMENT 'greatest volume',
    average Nullable(Float64) COMMENT 'of a gauge: usage over covered hours',
    usage Float64 COMMENT 'growth of a cumulative meter, sum of deltas, of a gauge unit x hours',
    covered Nullable(Float64) COMMENT 'seconds of the window that samples tell of; null of deltas',
    expected Nullable(UInt32) COMMENT 'samples that the series'' own cadence lets expect',
    complete Nullable(Float64) COMMENT 'covered share of the window, 0 to 1',
    state String COMMENT 'open, final or restated',
    version UInt64 COMMENT 'when the row was worked out, milliseconds since the epoch; later wins'
)
AS SELECT * FROM {database}.usage_rows WHERE period = 3600
COMMENT 'usage of every series by hour, owner and segment; the newest version of each row';

CREATE OR REPLACE VIEW {database}.v_usage_daily
(
    meter String COMMENT 'what is measured, such as disk.read.bytes',
    type String COMMENT 'gauge, delta or cumulative',
    unit String COMMENT 'unit of the volumes',
    resource_id String COMMENT 'what was measured',
    project_id String COMMENT 'the project that owned the resource; empty where unknown',
    user_id String COMMENT 'the user; empty where unknown',
    segment String COMMENT 'value of the metadata that splits rows, such as flavor=m1.small; empty where none',
    period UInt32 COMMENT 'seconds the window is long',
    start DateTime('UTC') COMMENT 'when the window begins',
    `end` DateTime('UTC') COMMENT 'when it ends; not part of it',
    count UInt32 COMMENT 'samples in the window',
    first Nullable(Float64) COMMENT 'volume of the first of them',
    last Nullable(Float64) COMMENT 'volume of the last of them',
    sum Float64 COMMENT 'sum of their volumes; of a cumulative meter its growth in the window',
    min Nullable(Float64) COMMENT 'least volume',
    max Nullable(Float64) COMMENT 'greatest volume',
    average Nullable(Float64) COMMENT 'of a gauge: usage over covered hours',
    usage Float64 COMMENT 'growth of a cumulative meter, sum of deltas, of a gauge unit x hours',
    covered Nullable(Float64) COMMENT 'seconds of the window that samples tell of; null of deltas',
    expected Nullable(UInt32) COMMENT 'samples that the series'' own cadence lets expect',
    complete Nullable(Float64) COMMENT 'covered share of the window, 0 to 1',
    state String COMMENT 'open, final or restated',
    version UInt64 COMMENT 'when the row was worked out, milliseconds since the epoch; later wins'
)
AS SELECT * FROM {database}.usage_rows WHERE period = 86400
COMMENT 'usage of every series by UTC day, owner and segment; the newest version of each row';
