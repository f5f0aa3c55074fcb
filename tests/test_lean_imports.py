"""The service starts without packages that it does not use; a feed of an operator's own may use them."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
START = """
import sys
from jobs.lean_imports import without_unused

with without_unused():
    import {module}
print(*sorted({{name.partition(".")[0] for name in sys.modules}} & {{"bson", "pandas", "pymongo"}}))
import pandas, pyarrow
print(pyarrow.table({{"volume": [1.5]}}).to_pandas()["volume"].tolist(), pandas.Series([2]).tolist())
"""


@pytest.mark.parametrize("module", ["jobs.service", "jobs.worker_parts"])
def test_what_is_not_used_is_not_imported_and_can_be_imported_later(module: str) -> None:
    code = START.format(module=module)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["", "[1.5] [2]"]
