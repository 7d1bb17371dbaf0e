from __future__ import annotations

import json
import signal
import threading

import pytest
from command_line import PATIENCE, PROGRAM
from conftest import eventually
from terminal import Terminal
from things import Thing

from pyacq_rpc import RPCClient, RPCServer, Service
from pyacq_rpc.__main__ import main
from pyacq_rpc.people.commands.call import as_json, parse_arguments
from pyacq_rpc.people.failing import CommandError

pytestmark = pytest.mark.timeout(180)


class Camera:
    gain = 2

    def expose(self, seconds, colour="red", **more):
        return {"seconds": seconds, "colour": colour, **more}

    def fail(self):
        raise ValueError("shutter\nstuck")

    def slow(self):
        raise TimeoutError("the cooler")

    def __call__(self, *args):
        return ["called", *args]


@pytest.fixture
def camera(server):
    """The address of a server that publishes a camera."""
    server["camera"] = Camera()
    server["numbers"] = {"a": (1, 2)}
    server["add"] = lambda a, b=1: a + b
    return server.address


class TestValues:
    @pytest.mark.parametrize(
        ("arguments", "printed"),
        [
            (["camera.expose", "0.1"], "{'seconds': 0.1, 'colour': 'red'}"),
            (["camera.expose", "1", "blue"], "{'seconds': 1, 'colour': 'blue'}"),
            (["camera.expose", "-1", "gain=[3]"], "{'seconds': -1, 'colour': 'red', 'gain': [3]}"),
            (["camera.gain"], "2"),
            (["numbers"], "{'a': (1, 2)}"),
            (["numbers.keys", "--json"], None),
            (["camera"], "<ObjectProxy for "),
            (["camera()"], "['called']"),
            (["camera", "7"], "['called', 7]"),
            (["add", "2", "3"], "5"),
            (["add", "-s", "2", "b=3"], "'2b=3'"),
            (["add", "--string", "a", "--json", "b"], '"ab"'),
        ],
    )
    def test_what_is_printed(self, camera, capsys, arguments, printed):
        code = main(["call", camera, *arguments])
        ended = capsys.readouterr()
        if printed is None:
            assert (code, ended.out) == (1, "")
            assert "the result has no JSON form" in ended.err
        else:
            assert code == 0
            assert ended.out.startswith(printed)

    def test_a_function_without_arguments_is_called(self, camera, fails):
        assert "missing 1 required positional argument" in fails("call", camera, "add")

    def test_by_the_name_of_the_server(self, camera, prints):
        assert prints("call", "under-test", "camera.gain") == "2\n"

    def test_a_service_needs_not_let_methods_be_had(self, prints):
        server = RPCServer(policy=Service({Camera: ["expose", "gain"]}))
        server["camera"] = Camera()
        thread = threading.Thread(target=server.run_forever)
        thread.start()
        assert prints("call", server.address, "camera.expose", "1") != ""
        assert prints("call", server.address, "camera.gain") == "2\n"
        assert main(["call", server.address, "camera.fail"]) == 1
        server.close()
        thread.join(10)

    def test_json(self, camera, prints):
        told = prints("call", "--json", camera, "camera.expose", "null", "x=true")
        assert json.loads(told) == {"seconds": None, "colour": "red", "x": True}


class TestErrors:
    def test_a_remote_error_is_one_line(self, camera, fails):
        told = fails("call", camera, "camera.fail")
        assert told == "ValueError: shutter stuck (-v shows the traceback)"

    def test_verbose_shows_its_traceback(self, camera, capsys):
        assert main(["call", camera, "camera.fail", "-v"]) == 1
        told = capsys.readouterr().err
        assert told.startswith("Traceback")
        assert 'raise ValueError("shutter' in told
        assert told.endswith("pyacq-rpc call: ValueError: shutter stuck\n")

    def test_a_remote_timeout_is_the_remote_codes(self, camera, fails):
        assert fails("call", camera, "camera.slow").startswith("TimeoutError: the cooler")

    @pytest.mark.parametrize(
        ("target", "told"),
        [
            ("telescope.x", "nothing is published as 'telescope'"),
            ("camera.zoom", "has no attribute 'zoom'"),
            (".expose", "names nothing"),
            ("camera..x", "names nothing"),
            ("", "names nothing"),
        ],
    )
    def test_what_is_not_there(self, camera, fails, target, told):
        assert told in fails("call", camera, target)

    def test_a_keyword_that_is_given_twice(self, camera, fails):
        assert "a is given twice" in fails("call", camera, "add", "a=1", "a=2")

    def test_wrong_arguments(self, capsys):
        with pytest.raises(SystemExit) as exit_:
            main(["call", "somewhere"])
        assert exit_.value.code == 2
        assert "TARGET" in capsys.readouterr().err


class TestWaiting:
    @pytest.fixture
    def thing(self, server):
        """What waits until its gate is opened; it is."""
        server["thing"] = thing = Thing()
        yield thing
        thing.gate.set()

    def test_no_longer_than_it_is_told(self, server, thing, fails):
        told = fails("call", server.address, "thing.wait()", "--timeout", "0.2")
        assert told == "no answer after 0.2 s; what has begun goes on over there"

    def test_on_a_terminal_it_shows_that_it_waits(self, server, thing):
        with Terminal([*PROGRAM, "call", server.address, "thing.wait()"], {}) as terminal:
            terminal.wait_for(r"waiting for thing\.wait\(\): \d s, Ctrl-C ends the wait", PATIENCE)
            thing.gate.set()
            assert terminal.process.wait(PATIENCE) == 0

    def test_ctrl_c_ends_the_wait_and_not_the_call(self, server, thing, start):
        client = RPCClient(server.address)
        call = start("call", server.address, "thing.wait()")
        assert eventually(lambda: client.status().doing == "thing.wait", PATIENCE)
        call.send_signal(signal.SIGINT)
        out, err = call.communicate(timeout=PATIENCE)
        assert (call.returncode, out, err) == (130, "", "Interrupted.\n")
        assert client.status(10).doing == "thing.wait"

    def test_a_server_that_dies_meanwhile(self, serve, start):
        lab = serve("lab:camera")
        client = RPCClient(lab.address)
        call = start("call", lab.address, "camera.expose", "60")
        assert eventually(lambda: client.status().doing == "camera.expose", PATIENCE)
        lab.process.kill()
        _, err = call.communicate(timeout=PATIENCE)
        assert call.returncode == 1
        assert err == f"pyacq-rpc call: camera ({lab.address}) has died\n"


class TestArguments:
    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("1", 1), ("-0.5", -0.5), ("true", True), ("null", None), ('"5"', "5"), ("red", "red"),
            ("", ""), ("[1, {}]", [1, {}]), ("[1,", "[1,"), ("a b=c", "a b=c"), ("=x", "=x"),
            ("1=2", "1=2"), ("[" * 100_000, "[" * 100_000), ('"a=b"', "a=b"),
        ],
        ids=lambda value: str(value)[:10],
    )  # fmt: skip
    def test_by_position(self, text, value):
        assert parse_arguments([text]) == ([value], {})

    def test_by_name(self):
        assert parse_arguments(["a=1", "b=x=y", "c="]) == ([], {"a": 1, "b": "x=y", "c": ""})

    def test_as_text(self):
        assert parse_arguments(["1", "a=b"], is_text=True) == (["1", "a=b"], {})


class TestJson:
    def test_arrays(self):
        np = pytest.importorskip("numpy")
        assert as_json({"x": np.arange(4).reshape(2, 2), "y": np.float32(0.5)}) == (
            '{"x": [[0, 1], [2, 3]], "y": 0.5}'
        )

    @pytest.mark.parametrize("value", [b"", {1, 2}, 1j, float("nan"), {(1, 2): 3}, object()])
    def test_what_has_no_json_form(self, value):
        with pytest.raises(CommandError, match="the result has no JSON form"):
            as_json([value])

    def test_a_circle(self):
        circle: list[object] = []
        circle.append(circle)
        with pytest.raises(CommandError, match="no JSON form"):
            as_json(circle)
