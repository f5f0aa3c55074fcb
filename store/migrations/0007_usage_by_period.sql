-- Rows of one period lie together: a month by days reads none of its hours (decision 15). Databases
-- made since have `usage` so from the beginning, and copy nothing. The old table is dropped last, so
-- that a start that was cut off in between does all of it again; a server drops large ones only if told so.
CREATE TABLE IF NOT EXISTS {database}.usage_by_period AS {database}.usage
ENGINE = ReplacingMergeTree(version, is_deleted)
PARTITION BY (period, toYYYYMM(start))
ORDER BY (meter, period, project_id, resource_id, start, user_id, segment, type, unit);

INSERT INTO {database}.usage_by_period SELECT * FROM {database}.usage
SETTINGS max_partitions_per_insert_block = 0;

DROP TABLE IF EXISTS {database}.usage_by_month SETTINGS max_table_size_to_drop = 0;

RENAME TABLE {database}.usage TO {database}.usage_by_month, {database}.usage_by_period TO {database}.usage;

DROP TABLE {database}.usage_by_month SETTINGS max_table_size_to_drop = 0;
