CREATE OR REPLACE VIEW {database}.v_alarms
(
    alarm_id String COMMENT 'id of the alarm',
    name String COMMENT 'its name, unique in its project',
    type String COMMENT 'what its rule looks at',
    enabled UInt8 COMMENT '1 where it is evaluated',
    severity String COMMENT 'low, moderate or critical',
    project_id String COMMENT 'the project that owns it; empty where an admin keeps it in none',
    user_id String COMMENT 'the user who owns it',
    rule String COMMENT 'the rule, as JSON',
    timestamp DateTime64(3, 'UTC') COMMENT 'when it was defined last',
    state String COMMENT 'ok, alarm or insufficient data',
    state_timestamp DateTime64(3, 'UTC') COMMENT 'since when it is in that state',
    state_reason String COMMENT 'why it is in that state'
)
AS SELECT a.alarm_id AS alarm_id, a.name AS name, a.type AS type, a.enabled AS enabled,
    a.severity AS severity, a.project_id AS project_id, a.user_id AS user_id,
    JSONExtractRaw(a.definition, concat(a.type, '_rule')) AS rule, a.timestamp AS timestamp,
    if(s.version = 0, 'insufficient data', s.state) AS state,
    if(s.version = 0, a.timestamp, s.at) AS state_timestamp,
    if(s.version = 0, 'Not evaluated yet', s.reason) AS state_reason
FROM (SELECT * FROM {database}.alarms FINAL) AS a
LEFT JOIN (SELECT * FROM {database}.alarm_states FINAL) AS s ON s.alarm_id = a.alarm_id
COMMENT 'every alarm in its state';

CREATE OR REPLACE VIEW {database}.v_alarm_history
(
    alarm_id String COMMENT 'id of the alarm, which may be deleted by now',
    timestamp DateTime64(3, 'UTC') COMMENT 'when it changed',
    type String COMMENT 'creation, rule change, state transition or deletion',
    detail String COMMENT 'what changed, as JSON',
    severity String COMMENT 'severity of the alarm then',
    on_behalf_of String COMMENT 'the project that owned the alarm',
    project_id String COMMENT 'project of who changed it; empty where it was evaluated',
    user_id String COMMENT 'who changed it; empty where it was evaluated',
    event_id String COMMENT 'id of the change'
)
AS SELECT alarm_id, timestamp, type, detail, severity, on_behalf_of, project_id, user_id, event_id
FROM {database}.alarm_history FINAL
COMMENT 'what became of alarms';

CREATE OR REPLACE VIEW {database}.v_deliveries
(
    id String COMMENT 'id of the delivery',
    alarm_id String COMMENT 'the alarm whose action is called',
    transition_id String COMMENT 'event_id of the transition in v_alarm_history',
    project_id String COMMENT 'the project that owns the alarm',
    created_at DateTime64(3, 'UTC') COMMENT 'when the alarm changed its state',
    action String COMMENT 'the URL that is called',
    state String COMMENT 'pending, delivered or dead',
    attempts UInt32 COMMENT 'how often it was tried',
    last_status UInt16 COMMENT 'what the receiver answered last; 0 where it did not',
    last_error String COMMENT 'why it failed last'
)
-- An action's trust is a secret.
AS SELECT id, alarm_id, transition_id, project_id, created_at,
    replaceRegexpOne(action, '^(trust\\+[a-z]+://)[^@/?]*@', '\\1') AS action,
    state::String AS state, attempts, last_status, last_error
FROM {database}.deliveries FINAL
COMMENT 'what alarms call, and whether it arrived';
