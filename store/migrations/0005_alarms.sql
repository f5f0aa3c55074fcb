-- Alarms: the newest definition of each. `definition` is its JSON, with the trusts of its actions.
-- `scope` is the one project whose samples it looks at; null is every project's. Versions are in µs.
-- Without FINAL, rows by version are the changes since a time, deletions among them.
CREATE TABLE IF NOT EXISTS {database}.alarms
(
    alarm_id String,
    name String,
    type LowCardinality(String),
    enabled UInt8,
    severity LowCardinality(String),
    repeat_actions UInt8,
    project_id String,
    user_id String,
    scope Nullable(String),
    timestamp DateTime64(3, 'UTC'),
    definition String CODEC(ZSTD(3)),
    version UInt64 CODEC(Delta, ZSTD(1)),
    is_deleted UInt8
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY alarm_id;

-- In what state each alarm is. Natural key: the alarm; the later version counts. `seen` is up to when
-- samples were looked at (ms).
CREATE TABLE IF NOT EXISTS {database}.alarm_states
(
    alarm_id String,
    state LowCardinality(String),
    at DateTime64(3, 'UTC'),
    reason String CODEC(ZSTD(1)),
    reason_data String CODEC(ZSTD(1)),
    manual UInt8,
    version UInt64 CODEC(Delta, ZSTD(1)),
    seen Int64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY alarm_id;

-- What became of each alarm, kept after its deletion. A transition is as good as made once its row is
-- here: `transition` (JSON, "" for other changes) is enough to write its deliveries and state again.
CREATE TABLE IF NOT EXISTS {database}.alarm_history
(
    alarm_id String,
    timestamp DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    event_id String,
    type LowCardinality(String),
    detail String CODEC(ZSTD(3)),
    project_id String,
    user_id String,
    on_behalf_of String,
    severity LowCardinality(String),
    transition String CODEC(ZSTD(3)),
    version UInt64 CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(timestamp)
ORDER BY (alarm_id, timestamp, event_id);

-- What is to be delivered and was. Natural key: the sort key; `id` alone names one, too.
-- `sequence` is the transition's version: the order in which an alarm's deliveries go out.
CREATE TABLE IF NOT EXISTS {database}.deliveries
(
    created_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    alarm_id String,
    id String,
    transition_id String,
    project_id String,
    sequence UInt64 CODEC(Delta, ZSTD(1)),
    action String CODEC(ZSTD(1)),
    receiver String CODEC(ZSTD(1)),
    body String CODEC(ZSTD(3)),
    state Enum8('pending' = 1, 'delivered' = 2, 'dead' = 3),
    attempts UInt32,
    next_attempt_at DateTime64(3, 'UTC'),
    last_status UInt16,
    last_error String CODEC(ZSTD(1)),
    version UInt64 CODEC(Delta, ZSTD(1)),
    INDEX by_alarm alarm_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_id id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(created_at)
ORDER BY (created_at, alarm_id, id);

-- Each attempt at a delivery. Natural key: the sort key.
CREATE TABLE IF NOT EXISTS {database}.delivery_attempts
(
    delivery_id String,
    number UInt32,
    at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    status UInt16,
    error String CODEC(ZSTD(1)),
    seconds Float64
)
ENGINE = ReplacingMergeTree(at)
PARTITION BY toYYYYMM(at)
ORDER BY (delivery_id, number);

-- How many alarms a project may have; -1 is any number.
CREATE TABLE IF NOT EXISTS {database}.alarm_quotas
(
    project_id String,
    resource LowCardinality(String),
    limit Int64,
    version UInt64,
    is_deleted UInt8
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (project_id, resource);

-- How often each alarm was evaluated to a state by one run of the job, counted from that run's start.
CREATE TABLE IF NOT EXISTS {database}.alarm_evaluations
(
    alarm_id String,
    project_id String,
    state LowCardinality(String),
    run String,
    evaluations UInt64,
    at DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(evaluations)
ORDER BY (alarm_id, state, run);
