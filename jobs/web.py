"""Serving the REST API, and SQL where the engine is in this process: beside a job, or alone."""

from contextlib import ExitStack

from flask import Flask

from metering.config import Config
from store.client import Store
from webapi.serving import serve
from webapi.sql_endpoint import create_sql_app


def serve_web(config: Config, app: Flask, store: Store, open_things: ExitStack) -> None:
    """Serve as configured until `open_things` are closed. Raises ServingError."""
    open_things.callback(serve(app, config.api.listen, config.api.threads).close)
    if config.sql.password is not None:
        sql_app = create_sql_app(config, store)
        open_things.callback(serve(sql_app, config.sql.listen, config.api.threads).close)
