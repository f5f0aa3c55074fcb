-- Samples. Natural key: the sort key; writing a row again changes nothing. `variant` is 0 for a
-- gauge or cumulative sample and names the message for a delta (two may share series and time);
-- rows set aside (another message, same series and time) keep their own variant and is_deleted = 1,
-- which FINAL hides. `version` grows when a settled conflict changes what counts.
-- Message ids are only needed while repeats may come: they are forgotten after a day.
CREATE TABLE IF NOT EXISTS {database}.samples
(
    meter LowCardinality(String),
    type Enum8('gauge' = 1, 'delta' = 2, 'cumulative' = 3),
    unit LowCardinality(String),
    volume Float64 CODEC(ZSTD(3)),
    project_id LowCardinality(String),
    user_id LowCardinality(String),
    resource_id String CODEC(ZSTD(1)),
    timestamp DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    source LowCardinality(String),
    metadata LowCardinality(String) CODEC(ZSTD(1)),
    recorded_at DateTime('UTC') CODEC(Delta, ZSTD(1)),
    message_id String CODEC(ZSTD(1)) TTL recorded_at + INTERVAL 1 DAY,
    variant UInt32 CODEC(ZSTD(1)),
    version UInt32 CODEC(ZSTD(1)),
    is_deleted UInt8,
    INDEX by_arrival recorded_at TYPE minmax GRANULARITY 1,
    INDEX by_resource resource_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree(version, is_deleted)
PARTITION BY toYYYYMM(timestamp)
PRIMARY KEY (meter, project_id, resource_id, timestamp)
ORDER BY (meter, project_id, resource_id, timestamp, variant)
SETTINGS merge_with_ttl_timeout = 3600;

-- The newest sample of every series, by owner, and the time of its first. min and max are the same
-- however often a row is written.
CREATE TABLE IF NOT EXISTS {database}.latest
(
    resource_id String CODEC(ZSTD(1)),
    meter LowCardinality(String),
    project_id LowCardinality(String),
    user_id LowCardinality(String),
    source LowCardinality(String),
    first SimpleAggregateFunction(min, DateTime64(3, 'UTC')),
    newest SimpleAggregateFunction(max, Tuple(timestamp DateTime64(3, 'UTC'), volume Float64, type String, unit String, metadata String))
)
ENGINE = AggregatingMergeTree
ORDER BY (resource_id, meter, project_id, user_id, source);

-- Events. Natural key: type, time and message id; of two contents under one key the one with the
-- smaller hash stays, whichever came first.
CREATE TABLE IF NOT EXISTS {database}.events
(
    event_type LowCardinality(String),
    generated DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    message_id String CODEC(ZSTD(1)),
    project_id LowCardinality(String),
    user_id LowCardinality(String),
    text_traits Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    integer_traits Map(LowCardinality(String), Int64) CODEC(ZSTD(1)),
    float_traits Map(LowCardinality(String), Float64) CODEC(ZSTD(1)),
    datetime_traits Map(LowCardinality(String), DateTime64(3, 'UTC')) CODEC(ZSTD(1)),
    raw String CODEC(ZSTD(3)),
    recorded_at DateTime('UTC') CODEC(Delta, ZSTD(1)),
    version UInt64 CODEC(NONE),
    INDEX by_message message_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(generated)
ORDER BY (event_type, generated, message_id);

-- Payloads and samples that were refused. Natural key: the content's name.
CREATE TABLE IF NOT EXISTS {database}.invalid
(
    id String,
    feed LowCardinality(String),
    reason LowCardinality(String),
    detail String CODEC(ZSTD(1)),
    payload String CODEC(ZSTD(3)),
    size UInt64,
    recorded_at DateTime('UTC'),
    redriven_at Nullable(DateTime('UTC'))
)
ENGINE = ReplacingMergeTree(recorded_at)
ORDER BY id;
