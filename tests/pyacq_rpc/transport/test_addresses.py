from __future__ import annotations

import pytest

from pyacq_rpc.transport.addresses import host_of, is_beyond_loopback, is_here, seen_from_here

THERE = "192.0.2.1"  # for documentation: no host has it


@pytest.mark.parametrize(
    ("address", "host", "beyond"),
    [
        ("tcp://127.0.0.1:5000", "127.0.0.1", False),
        ("tcp://127.9.9.9:*", "127.9.9.9", False),
        ("tcp://localhost:5000", "localhost", False),
        ("tcp://[::1]:5000", "::1", False),
        ("tcp://0.0.0.0:5000", "0.0.0.0", True),
        ("tcp://*:5000", "*", True),
        ("tcp://[::]:5000", "::", True),
        ("tcp://eth0:*", "eth0", True),
        ("tcp://lab.example.org:5000", "lab.example.org", True),
        ("tcp://192.0.2.1:5000", "192.0.2.1", True),
        ("ipc:///tmp/here", "", False),
        ("inproc://here", "", False),
    ],
)
def test_what_an_address_is_for(address, host, beyond):
    assert (host_of(address), is_beyond_loopback(address)) == (host, beyond)


@pytest.mark.parametrize("host", ["", "localhost", "127.0.0.1", "127.0.0.2", "::1", "0.0.0.0", "*"])
def test_this_host_has_many_names(host):
    assert is_here(host)


@pytest.mark.parametrize("host", [THERE, "2001:db8::1", "no such host"])
def test_another_host_is_told_apart(host):
    assert not is_here(host)


@pytest.mark.parametrize("teller", ["", "127.0.0.1"])
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", THERE])
def test_what_is_told_on_this_host_is_right_as_it_is(teller, host):
    assert seen_from_here(f"tcp://{host}:5000", teller) == f"tcp://{host}:5000"


def test_all_interfaces_of_another_host_are_that_host():
    assert seen_from_here("tcp://0.0.0.0:5000", THERE) == "tcp://192.0.2.1:5000"
    assert seen_from_here("tcp://[::]:5000", "2001:db8::1") == "tcp://[2001:db8::1]:5000"


def test_a_third_host_is_what_it_is():
    assert seen_from_here("tcp://192.0.2.3:5000", THERE) == "tcp://192.0.2.3:5000"


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:5000", "ipc:///tmp/there", "inproc://there"])
def test_what_only_another_host_reaches_is_told_with_what_to_do(address):
    with pytest.raises(ValueError, match="can only be reached on 192") as caught:
        seen_from_here(address, THERE)
    assert "RPCServer('tcp://0.0.0.0:*').run_lazy()" in str(caught.value)
    assert address in str(caught.value)
