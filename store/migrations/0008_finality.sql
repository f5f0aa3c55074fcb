-- Windows that were final stay so when the number of shards changes: of every number that all its
-- shards have told of, the latest counts. The newest version of every usage row, as before.
CREATE OR REPLACE VIEW {database}.usage_rows
AS WITH (
    SELECT max(all_until)
    FROM (
        SELECT if(count() = shards, min(until), toDateTime64(0, 3, 'UTC')) AS all_until
        FROM (
            SELECT shards, shard, max(until) AS until FROM {database}.usage_final
            GROUP BY shards, shard
        )
        GROUP BY shards
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
