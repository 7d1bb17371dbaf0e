"""``python tests/faults/measure.py [FAULT ...]``: print how long each fault takes to be told."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

import conftest  # noqa: E402, F401  # a key of its own
from faults.bringing import ROWS, bring_about  # noqa: E402
from faults.table import KINDS  # noqa: E402

if __name__ == "__main__":
    for row in ROWS:
        if not sys.argv[1:] or row.fault in sys.argv[1:]:
            found = bring_about(row, KINDS)
            slowest = max(took for _, took in found.values())
            wrong = {use: got for use, (got, _) in found.items() if got != row.outcomes[use]}
            print(f"{row.fault:25} {slowest:8.4f} s", wrong or "", flush=True)
