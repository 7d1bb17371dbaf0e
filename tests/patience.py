"""Prompts that wait for answers for as long as a machine that does much else takes.

People's wait half a second, so that nobody is kept from typing.
"""

from __future__ import annotations

from pathlib import Path

SECONDS = 60.0

_STARTUP = f"""
from pyacq_rpc.people.ipython import inspecting
from pyacq_rpc.session import questions

inspecting.PATIENCE = questions.PATIENCE = {SECONDS}
"""


def patient_ipython(folder: Path) -> str:
    """Make a directory for ``IPYTHONDIR``, with which IPython is patient."""
    startup = folder / "ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "patient.py").write_text(_STARTUP)
    return str(folder / "ipython")
