"""One process a cell."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from pipelines.benchmark.claims import claimed

HOLD = """
import sys, time
from pathlib import Path
from pipelines.benchmark.claims import claimed
with claimed(Path(sys.argv[1]), wait=False) as ours:
    print(ours, flush=True)
    time.sleep(60)
"""


def test_a_claim_holds_others_off_and_ends_with_its_process(tmp_path: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline().strip() == "True"
    with claimed(tmp_path, wait=False) as ours:
        assert not ours
    holder.kill()
    holder.wait()
    holder.stdout.close()
    with claimed(tmp_path, wait=True) as ours:
        assert ours
