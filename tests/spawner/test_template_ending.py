"""How nodes of a template end: one by one, with their template, or with their parent."""

from __future__ import annotations

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
from conftest import eventually, open_descriptors
from processes import OCCUPATIONS, gone, start_parent

from pyacq_rpc import CallTimeout, ServerDisconnected
from pyacq_rpc.peers.runtime import current
from spawner import NodeTemplate, ProcessSpawner
from spawner.family import Family

if not hasattr(os, "fork"):
    pytest.skip("no fork here", allow_module_level=True)


class TestEnding:
    def test_stop_asks_first(self, template):
        node = ProcessSpawner(output="capture", template=template)
        node._import("atexit").register(node._import("builtins").print, "bye")
        assert node.stop() == 0
        assert node.stdout == "bye\n"
        assert node.stop() == 0

    def test_stop_ends_a_busy_node_within_its_timeout(self, template):
        node = ProcessSpawner(template=template)
        node._import("time").sleep(60, _sync="off")
        started = time.monotonic()
        assert node.stop(timeout=6.0) == 128 + signal.SIGTERM
        assert time.monotonic() - started < 10
        assert gone(node.pid)

    def test_stop_ends_one_that_ignores_everything(self, template):
        node = ProcessSpawner(template=template)
        node._import("signal").signal(signal.SIGTERM, signal.SIG_IGN)
        node._import("time").sleep(60, _sync="off")
        assert node.stop(timeout=1.0) == -signal.SIGKILL

    def test_kill_takes_what_it_has_started_along(self, template):
        node = ProcessSpawner(template=template)
        pid = node._import("subprocess").Popen(["sleep", "60"]).pid._get_value()
        node.kill()
        assert gone(node.pid)
        assert eventually(lambda: gone(pid))

    def test_kill_is_noticed_by_everyone_who_waits(self, template):
        node = ProcessSpawner(template=template)
        future = node._import("time").sleep(60, _sync="async")
        os.kill(node.pid, signal.SIGKILL)
        with pytest.raises(ServerDisconnected):
            future.result(10)
        assert node.wait(10) == -signal.SIGKILL
        assert node.poll() == node.proc.returncode == -signal.SIGKILL

    def test_wait(self, template):
        node = ProcessSpawner(template=template)
        with pytest.raises(CallTimeout, match="did not end"):
            node.wait(0.05)
        node._import("os")._exit(7, _sync="off")
        assert node.wait(10) == 7

    def test_its_process_can_be_sent_signals(self, template):
        node = ProcessSpawner(template=template)
        node.proc.send_signal(0)
        node.proc.terminate()
        assert node.proc.wait(10) == 128 + signal.SIGTERM
        node.proc.terminate()  # too late, and no matter
        node.stop()

    def test_its_end_may_be_noticed_by_several_threads(self, template):
        node = ProcessSpawner(output="capture", template=template)
        with ThreadPoolExecutor(8) as pool:
            futures = [pool.submit(node.wait) for _ in range(4)]
            futures += [pool.submit(node.stop) for _ in range(4)]
            assert [future.result(20) for future in futures] == [0] * 8

    def test_a_template_that_does_not_answer_keeps_nobody_waiting(self, template, monkeypatch):
        monkeypatch.setattr("spawner.start.KILL_TIMEOUT", 0.1)
        node = ProcessSpawner(template=template)
        os.kill(template.pid, signal.SIGSTOP)
        node.kill()
        assert node.poll() == -signal.SIGKILL
        assert gone(node.pid)

    def test_nodes_live_on_when_their_template_is_stopped(self):
        with NodeTemplate() as template:
            nodes = [ProcessSpawner(template=template) for _ in range(2)]
        assert [node._import("math").sqrt(4) for node in nodes] == [2, 2]
        assert template.poll() is None  # it waits for them
        nodes[0]._import("os")._exit(7, _sync="off")
        assert nodes[0].wait(10) == 7
        assert template.poll() is None
        assert nodes[1].stop() == 0
        assert template.poll() == 0

    def test_nodes_live_on_when_their_template_is_killed(self, template):
        nodes = [ProcessSpawner(template=template) for _ in range(3)]
        template.kill()
        assert template.wait() == -signal.SIGKILL
        assert [node._import("math").sqrt(4) for node in nodes] == [2, 2, 2]
        assert [node.poll() for node in nodes] == [None, None, None]
        nodes[0]._import("os")._exit(7, _sync="off")
        assert nodes[0].wait(10) == 255  # nobody could tell
        assert nodes[1].stop() == 255
        nodes[2].kill()
        assert all(gone(node.pid) for node in nodes)

    def test_all_end_at_exit(self):
        template = NodeTemplate()
        nodes = [ProcessSpawner(template=template) for _ in range(3)]
        nodes[0]._import("time").sleep(60, _sync="off")
        current().attachment(Family).stop()
        assert [node.poll() for node in nodes] == [128 + signal.SIGTERM, 0, 0]
        assert template.poll() == 0

    def test_the_template_tells_what_it_is(self, template):
        assert repr(template) == f"<NodeTemplate mould, process {template.pid}, running>"
        with pytest.raises(CallTimeout, match="mould"):
            template.wait(0.01)
        template.stop()
        assert "exit code 0" in repr(template)
        template.stop()
        template.kill()

    def test_repr_knows_that_they_have_died(self, template):
        node = ProcessSpawner(template=template)
        assert "running" in repr(node)
        os.kill(node.pid, signal.SIGKILL)
        assert eventually(lambda: "ended with exit code" in repr(node))
        os.kill(template.pid, signal.SIGKILL)
        assert eventually(lambda: "ended with exit code -9" in repr(template))


# Three hundred in all, in parts that a loaded machine ends within a test's time.
@pytest.mark.parametrize("part", range(5))
def test_three_hundred_rounds_leave_nothing(part, template):
    with ProcessSpawner(output="discard", template=template) as node:
        node.client.ping()
    threads = threading.active_count()
    descriptors = len(open_descriptors())
    there = psutil.Process(template.pid)
    theirs, memory = there.num_fds(), there.memory_info().rss
    for _ in range(60):
        with ProcessSpawner(output="discard", template=template) as node:
            node.client.ping()
    assert eventually(lambda: len(open_descriptors()) <= descriptors)
    assert eventually(lambda: threading.active_count() <= threads)
    assert eventually(lambda: there.num_fds() <= theirs)
    assert not there.children()
    assert there.memory_info().rss < memory + 500_000


class TestOrphans:
    @pytest.mark.parametrize("killed", ["parent", "template first"])
    @pytest.mark.parametrize("busy", OCCUPATIONS.values(), ids=OCCUPATIONS)
    def test_a_node_ends_when_its_parent_is_killed(self, busy, killed):
        kill = "import os; os.kill(template.pid, 9); template.wait()" if killed != "parent" else ""
        parent, pid = start_parent(
            f"{busy}; time.sleep(0.3); {kill}\nprint(template.pid, flush=True); time.sleep(60)",
            "template=(template := NodeTemplate())",
        )
        template = int(parent.stdout.readline())
        assert not gone(pid)
        parent.kill()
        parent.wait()
        parent.stdout.close()
        assert eventually(lambda: gone(pid), 2.0 + 3.0)  # 2 s, and some for a loaded machine
        assert eventually(lambda: gone(template))

    def test_it_may_still_clean_up_when_its_parent_is_killed(self, tmp_path):
        mark = tmp_path / "closed"
        parent, pid = start_parent(
            f"node._import('atexit').register(node._import('pathlib').Path({str(mark)!r}).touch);"
            "print('ready', flush=True); time.sleep(60)",
            "template=NodeTemplate()",
        )
        parent.stdout.readline()
        parent.kill()
        parent.wait()
        parent.stdout.close()
        assert eventually(lambda: gone(pid))
        assert mark.exists()

    def test_a_parent_that_just_ends_stops_all(self):
        parent, pid = start_parent(
            "print(template.pid, flush=True)", "template=(template := NodeTemplate())"
        )
        template = int(parent.stdout.readline())
        parent.stdout.close()
        assert parent.wait(20) == 0
        assert eventually(lambda: gone(pid) and gone(template), 5.0)

    def test_a_fork_of_the_parent_keeps_nothing_alive(self):
        parent, pid = start_parent(
            "import os, warnings; warnings.simplefilter('ignore')\n"
            "child = os.fork()\n"
            "if child == 0: time.sleep(30); os._exit(0)\n"
            "print(child, template.pid, flush=True); time.sleep(60)",
            "output='discard', template=(template := NodeTemplate())",
        )
        forked, template = map(int, parent.stdout.readline().split())
        parent.kill()
        parent.wait()
        parent.stdout.close()
        assert eventually(lambda: gone(pid) and gone(template), 5.0)
        os.kill(forked, signal.SIGKILL)

    def test_a_template_that_imports_for_ever_ends_with_its_parent(self, module, tmp_path):
        name = module("import os; print(os.getpid(), flush=True)\nwhile True: pass")
        parent, pid = start_parent(
            f"sys.path.insert(0, {str(tmp_path)!r}); NodeTemplate(preload=[{name!r}])"
        )
        template = int(parent.stdout.readline())
        parent.kill()
        parent.wait()
        parent.stdout.close()
        assert eventually(lambda: gone(pid) and gone(template), 5.0)
