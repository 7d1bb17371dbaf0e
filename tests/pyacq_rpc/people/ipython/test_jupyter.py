"""A real kernel of Jupyter's, without a browser."""

from __future__ import annotations

import asyncio
import os

import pytest
from notebook import notebook
from patience import patient_ipython
from processes import ROOT

pytestmark = pytest.mark.timeout(180)

MODULE = """
class Camera:
    def _repr_html_(self):
        return "<b>camera</b>"
    def fail(self):
        raise ValueError("no light")
"""


def test_a_session(tmp_path):
    (tmp_path / "mylab.py").write_text(MODULE)
    env = {
        **os.environ,
        "IPYTHONDIR": patient_ipython(tmp_path),
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(tmp_path)]),
    }
    asyncio.run(use_a_kernel(env))


async def use_a_kernel(env):
    async with notebook(env) as started:
        await use(started)


async def use(notebook):
    for line in ("%load_ext pyacq_rpc", "%spawn w --output discard"):
        assert (await notebook.run(line)).status == "ok"
    await notebook.run("camera = w._import('mylab').Camera()")

    ((_, data),) = (await notebook.run("camera")).shown
    assert list(data) == ["text/plain"]
    ((_, data),) = (await notebook.run("%rich camera")).shown
    assert data["text/html"] == "<b>camera</b>"
    ((_, data),) = (await notebook.run("%nodes")).shown
    assert data["text/html"].startswith("<table>")

    code = "%%remote w\nimport sys, time\nprint('to see')\nprint('an err', file=sys.stderr)\n6 * 7"
    ran = await notebook.run(code)
    assert ran.status == "ok"
    assert "".join(text for kind, text in ran.shown if kind == "stdout") == "to see\n"
    assert "".join(text for kind, text in ran.shown if kind == "stderr") == "an err\n"
    assert ran.shown[-1] == ("execute_result", {"text/plain": "42"})

    ran = await notebook.run("camera.fail()")
    ((kind, text),) = ran.shown
    assert (ran.status, kind) == ("error", "error")
    assert "Remote Traceback" in text
    assert "\x1b[" in text

    code = "%%remote w\nprint('begun')\ntime.sleep(90)"
    ran = await notebook.run(code, interrupted_at="begun")
    assert ran.status == "error"
    assert "KeyboardInterrupt" in ran.shown[-1][1]
    ran = await notebook.run("%remote w 1 + 1")
    assert ran.shown == [("execute_result", {"text/plain": "2"})]

    client = notebook.client
    reply = await client.complete("camera.f", reply=True, timeout=60)
    assert reply["content"]["matches"] == ["fail"]
    reply = await client.inspect("camera.fail", reply=True, timeout=60)
    assert "mylab.py (of tcp://" in reply["content"]["data"]["text/plain"]
