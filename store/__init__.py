"""The ClickHouse store: schema, client and queries. The only place with SQL."""
