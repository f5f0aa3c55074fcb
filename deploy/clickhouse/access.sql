-- Who may do what on a ClickHouse server: run it once as its administrator, and again after an upgrade.
--   clickhouse-client --multiquery < deploy/clickhouse/access.sql
-- The database is `metering` (database.name). Users have no password here: give each one, by
--   ALTER USER metering_service IDENTIFIED BY '...' HOST ANY
-- Nobody can log in before that.

-- The service and a cluster's workers: the user in database.url.
CREATE ROLE IF NOT EXISTS metering_writer;
GRANT CREATE DATABASE, CREATE TABLE, CREATE VIEW, DROP VIEW, SELECT, INSERT, ALTER, OPTIMIZE ON metering.* TO metering_writer;
GRANT SELECT ON system.tables TO metering_writer;
CREATE USER IF NOT EXISTS metering_service IDENTIFIED WITH no_authentication HOST NONE DEFAULT ROLE metering_writer;
GRANT metering_writer TO metering_service;

-- Analysts: queries alone, within bounds that a session cannot lift; every project.
CREATE SETTINGS PROFILE IF NOT EXISTS metering_reading SETTINGS readonly = 2 CONST, max_execution_time = 300 MAX 300, max_memory_usage = 1073741824 MAX 1073741824, max_result_rows = 10000000 MAX 10000000, allow_ddl = 0 CONST;
CREATE ROLE IF NOT EXISTS metering_analyst SETTINGS PROFILE 'metering_reading';
GRANT SELECT ON metering.* TO metering_analyst;
CREATE QUOTA IF NOT EXISTS metering_analyst KEYED BY user_name FOR INTERVAL 1 hour MAX queries = 10000, execution_time = 7200 TO metering_analyst;
CREATE USER IF NOT EXISTS analyst IDENTIFIED WITH no_authentication HOST NONE DEFAULT ROLE metering_analyst;
GRANT metering_analyst TO analyst;

-- Tenants: a user is named as its project's id, and sees the rows of that project alone.
--   CREATE USER `PROJECT` IDENTIFIED BY '...' DEFAULT ROLE metering_tenant; GRANT metering_tenant TO `PROJECT`
-- A view reads as the one who asks, so the tables behind it are granted, and restricted, too.
CREATE ROLE IF NOT EXISTS metering_tenant SETTINGS PROFILE 'metering_reading';
GRANT SELECT ON metering.samples TO metering_tenant;
GRANT SELECT ON metering.latest TO metering_tenant;
GRANT SELECT ON metering.events TO metering_tenant;
GRANT SELECT ON metering.usage TO metering_tenant;
GRANT SELECT ON metering.usage_final TO metering_tenant;
GRANT SELECT ON metering.usage_rows TO metering_tenant;
GRANT SELECT ON metering.v_samples TO metering_tenant;
GRANT SELECT ON metering.v_latest TO metering_tenant;
GRANT SELECT ON metering.v_events TO metering_tenant;
GRANT SELECT ON metering.v_usage_hourly TO metering_tenant;
GRANT SELECT ON metering.v_usage_daily TO metering_tenant;
CREATE QUOTA IF NOT EXISTS metering_tenant KEYED BY user_name FOR INTERVAL 1 hour MAX queries = 1000, execution_time = 900 TO metering_tenant;
CREATE ROW POLICY IF NOT EXISTS own_project ON metering.samples FOR SELECT USING project_id = currentUser() TO metering_tenant;
CREATE ROW POLICY IF NOT EXISTS own_project ON metering.latest FOR SELECT USING project_id = currentUser() TO metering_tenant;
CREATE ROW POLICY IF NOT EXISTS own_project ON metering.events FOR SELECT USING project_id = currentUser() TO metering_tenant;
CREATE ROW POLICY IF NOT EXISTS own_project ON metering.usage FOR SELECT USING project_id = currentUser() TO metering_tenant;
-- Where a table has a policy, whoever has none might see nothing.
CREATE ROW POLICY IF NOT EXISTS every_project ON metering.samples FOR SELECT USING 1 TO ALL EXCEPT metering_tenant;
CREATE ROW POLICY IF NOT EXISTS every_project ON metering.latest FOR SELECT USING 1 TO ALL EXCEPT metering_tenant;
CREATE ROW POLICY IF NOT EXISTS every_project ON metering.events FOR SELECT USING 1 TO ALL EXCEPT metering_tenant;
CREATE ROW POLICY IF NOT EXISTS every_project ON metering.usage FOR SELECT USING 1 TO ALL EXCEPT metering_tenant;
