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
    recorded_at DateTime('UTC') COMMENT 'when we took it in'
)
AS SELECT meter, type, unit, volume, resource_id, project_id, user_id, timestamp, source,
    JSONExtract(metadata, 'Map(String, String)') AS resource_metadata, message_id, recorded_at
FROM {database}.samples FINAL
COMMENT 'every sample that counts, each once';

CREATE OR REPLACE VIEW {database}.v_latest
(
    resource_id String COMMENT 'what was measured',
    meter String COMMENT 'what is measured',
    type String COMMENT 'gauge, delta or cumulative',
    unit String COMMENT 'unit of volume',
    volume Float64 COMMENT 'the newest value',
    timestamp DateTime64(3, 'UTC') COMMENT 'when the newest sample was measured',
    first_timestamp DateTime64(3, 'UTC') COMMENT 'when the first sample was measured',
    project_id String COMMENT 'the project that owns the resource',
    user_id String COMMENT 'the user',
    source String COMMENT 'where the samples came from',
    resource_metadata Map(String, String) COMMENT 'metadata of the newest sample'
)
AS SELECT resource_id, meter, newest.type AS type, newest.unit AS unit, newest.volume AS volume,
    newest.timestamp AS timestamp, first AS first_timestamp, project_id, user_id, source,
    JSONExtract(newest.metadata, 'Map(String, String)') AS resource_metadata
-- FINAL aggregates whole columns only: a part of `newest` read from the table would be any row's.
FROM (SELECT * FROM {database}.latest FINAL)
COMMENT 'the newest sample of every series';

CREATE OR REPLACE VIEW {database}.v_events
(
    event_type String COMMENT 'kind of event, such as compute.instance.create.end',
    generated DateTime64(3, 'UTC') COMMENT 'when it happened',
    message_id String COMMENT 'id of the notification',
    project_id String COMMENT 'project concerned; empty where unknown',
    user_id String COMMENT 'user concerned; empty where unknown',
    text_traits Map(String, String) COMMENT 'traits that are text',
    integer_traits Map(String, Int64) COMMENT 'traits that are whole numbers',
    float_traits Map(String, Float64) COMMENT 'traits that are numbers',
    datetime_traits Map(String, DateTime64(3, 'UTC')) COMMENT 'traits that are times',
    raw String COMMENT 'the notification itself, where kept',
    recorded_at DateTime('UTC') COMMENT 'when we took it in'
)
AS SELECT event_type, generated, message_id, project_id, user_id, text_traits, integer_traits,
    float_traits, datetime_traits, raw, recorded_at
FROM {database}.events FINAL
COMMENT 'every event, each once';

CREATE OR REPLACE VIEW {database}.v_invalid
(
    id String COMMENT 'name of the content',
    feed String COMMENT 'feed it came by',
    reason String COMMENT 'why it was refused, one word',
    detail String COMMENT 'why it was refused, in full',
    payload String COMMENT 'what came, cut to the configured bound',
    size UInt64 COMMENT 'bytes that came',
    recorded_at DateTime('UTC') COMMENT 'when it came last',
    redriven_at Nullable(DateTime('UTC')) COMMENT 'when it was fed again'
)
AS SELECT id, feed, reason, detail, payload, size, recorded_at, redriven_at
FROM {database}.invalid FINAL
COMMENT 'payloads and samples that were refused';
