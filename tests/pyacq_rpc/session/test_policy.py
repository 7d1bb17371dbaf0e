from __future__ import annotations

import pytest

from pyacq_rpc.session.policy import Policy, Trusted


@pytest.mark.parametrize(
    "access",
    [
        "getattr",
        "setattr",
        "delattr",
        "call",
        "special",
        "value",
        "delete",
        "get_item",
        "set_item",
        "import",
        "transfer",
        "argument",
        "ping",
        "time",
        "close",
    ],
)
def test_trusted_grants_everything(access):
    policy: Policy = Trusted()
    assert policy.check(access, object(), "name") is None
    assert policy.check(access, None, None) is None


def test_trusted_clients_are_shown_tracebacks():
    assert Trusted().tracebacks is True
