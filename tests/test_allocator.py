"""The engine gives freed memory back soon, unless the operator wants it otherwise."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ASK = """
from jobs.allocator import return_memory_soon
return_memory_soon()
import chdb
print(chdb.query("SELECT * FROM system.jemalloc_stats", "TSVRaw"))
"""
# Ends where the engine is looked for, and says what it would find.
RUN = """
import os, sys

class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "chdb":
            print(os.environ.get("JE_MALLOC_CONF"), flush=True)
            os._exit(0)

sys.meta_path.insert(0, Watch())
from cli.main import main
main(["run", "--config", sys.argv[1]])
"""

# A block of 3 MB, after one of 16 MB was freed: how many blocks are mapped apart for it.
MAPPED = """
import ctypes
from jobs.allocator import return_memory_soon
return_memory_soon()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
NAMES = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"
class Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in NAMES.split()]
libc.mallinfo2.restype = Info
libc.free(libc.malloc(16 * 1024**2))
before = libc.mallinfo2().hblks
block = libc.malloc(3 * 1024**2)
print(libc.mallinfo2().hblks - before)
"""


def said_by(code: str, *arguments: str, **environment: str) -> str:
    inherited = {name: value for name, value in os.environ.items() if "MALLOC" not in name}
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(
        command, env=inherited | environment, cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.mark.parametrize(
    ("by_hand", "kept"), [({}, "500"), ({"JE_MALLOC_CONF": "dirty_decay_ms:2000"}, "2000")]
)
def test_the_engine_keeps_freed_pages_for_so_many_ms(by_hand: dict[str, str], kept: str):
    stats = said_by(ASK, **by_hand)
    assert re.findall(r"arenas\.dirty_decay_ms: (\d+)", stats) == [kept]


@pytest.mark.parametrize(
    ("by_hand", "mapped"), [({}, "1"), ({"MALLOC_MMAP_THRESHOLD_": "8388608"}, "0")]
)
def test_large_blocks_stay_apart_and_are_given_back_at_once(by_hand: dict[str, str], mapped: str):
    assert said_by(MAPPED, **by_hand).strip() == mapped


def test_run_says_so_before_the_engine_is_loaded(tmp_path: Path):
    config = tmp_path / "streamgauge.yaml"
    config.write_text(
        f"database: {{path: {tmp_path / 'db'}}}\nspool: {{path: {tmp_path / 'spool'}}}\n"
    )
    assert said_by(RUN, str(config)) == "dirty_decay_ms:500\n"
