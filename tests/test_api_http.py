"""What the API asks of a ClickHouse server: its tests again, with the store reached over HTTP."""

import inspect

from tests import (
    test_alarm_store,
    test_api_alarm_trials,
    test_api_errors,
    test_api_meters,
    test_api_query_samples,
    test_api_samples,
    test_api_statistics,
)
from tests.over_http import engine, store

__all__ = ["engine", "store"]  # in the place of conftest's

for _module in (
    test_alarm_store,
    test_api_alarm_trials,
    test_api_errors,
    test_api_meters,
    test_api_query_samples,
    test_api_samples,
    test_api_statistics,
):
    for _name, _value in vars(_module).items():
        # Those with a store are asked for here, by this module's fixture.
        if _name.startswith("test_") and "store" in inspect.signature(_value).parameters:
            globals()[_name] = _value
