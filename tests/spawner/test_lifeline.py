from __future__ import annotations

import os
import signal

import pytest
from conftest import eventually
from processes import OCCUPATIONS, gone, start_parent


class TestOrphans:
    @pytest.mark.parametrize("busy", OCCUPATIONS.values(), ids=OCCUPATIONS)
    def test_a_node_ends_when_its_parent_is_killed(self, busy):
        parent, pid = start_parent(
            f"{busy}; time.sleep(0.3); print('ready', flush=True); time.sleep(60)"
        )
        parent.stdout.readline()
        parent.kill()
        parent.wait()
        parent.stdout.close()
        assert eventually(lambda: gone(pid), 2.0 + 3.0)  # 2 s, and some for a loaded machine

    def test_it_may_still_clean_up_when_its_parent_is_killed(self, tmp_path):
        mark = tmp_path / "closed"
        then = (
            f"node._import('atexit').register(node._import('pathlib').Path({str(mark)!r}).touch);"
            "print('ready', flush=True); time.sleep(60)"
        )
        parent, pid = start_parent(then)
        parent.stdout.readline()
        parent.kill()
        parent.wait()
        parent.stdout.close()
        assert eventually(lambda: gone(pid))
        assert mark.exists()

    def test_a_parent_that_just_ends_stops_its_nodes(self):
        parent, pid = start_parent("pass")
        parent.stdout.close()
        assert parent.wait(20) == 0
        assert eventually(lambda: gone(pid), 5.0)

    def test_a_parent_that_fails_stops_its_nodes(self):
        parent, pid = start_parent("sys.exit(3)")
        parent.stdout.close()
        assert parent.wait(20) == 3
        assert eventually(lambda: gone(pid), 5.0)

    def test_a_fork_of_the_parent_does_not_keep_nodes_alive(self):
        parent, pid = start_parent(
            "import os, warnings; warnings.simplefilter('ignore')\n"
            "child = os.fork()\n"
            "if child == 0: time.sleep(30); os._exit(0)\n"
            "print(child, flush=True); time.sleep(60)",
            "output='discard'",
        )
        forked = int(parent.stdout.readline())
        parent.kill()
        parent.wait()
        parent.stdout.close()
        assert eventually(lambda: gone(pid), 5.0)
        os.kill(forked, signal.SIGKILL)

    def test_nodes_of_nodes_end_too(self):
        then = (
            "inner = node._import('spawner').ProcessSpawner()\n"
            "print(inner.pid._get_value(), flush=True)\n"
            "time.sleep(60)"
        )
        parent, pid = start_parent(then)
        inner = int(parent.stdout.readline())
        parent.kill()
        parent.wait()
        parent.stdout.close()
        assert eventually(lambda: gone(pid) and gone(inner), 8.0)
