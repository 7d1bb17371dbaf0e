"""The table of the nodes that a session has."""

from __future__ import annotations

import html
import time
from typing import Any, NamedTuple

import psutil

from pyacq_rpc import RPCClient, ServerDisconnected, Status
from pyacq_rpc.peers.runtime import current
from spawner import ProcessSpawner
from spawner.family import Family

from .walking import name_in

__all__ = ["NodeRow", "NodeTable", "table_of"]

STATUS_TIMEOUT = 0.5
"""Seconds that nodes have for telling how they are, all at the same time."""

_HEAD = ("node", "variable", "process", "since", "memory", "state", "address")


class NodeRow(NamedTuple):
    """What is shown of one node, as text.

    Attributes
    ----------
    node, variable, process, since, memory, state, address : str
        Empty where it is not known, as of servers on other machines.
    """

    node: str
    variable: str
    process: str
    since: str
    memory: str
    state: str
    address: str


class NodeTable:
    """The nodes of a session, as text or in a notebook.

    Parameters
    ----------
    rows : list of NodeRow

    Examples
    --------
    >>> NodeTable([NodeRow("w", "w", "7", "12:00:01", "30 MB", "alive", "tcp://127.0.0.1:5")])
    node  variable  process  since     memory  state  address
    w     w         7        12:00:01  30 MB   alive  tcp://127.0.0.1:5
    """

    def __init__(self, rows: list[NodeRow]) -> None:
        self.rows = rows

    def __repr__(self) -> str:
        if not self.rows:
            return "no nodes: %spawn NAME starts one"
        lines = [_HEAD, *self.rows]
        widths = [max(map(len, column)) for column in zip(*lines)]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip()
            for line in lines
        )

    def _repr_html_(self) -> str:
        if not self.rows:
            return html.escape(repr(self))
        head = "".join(f"<th>{title}</th>" for title in _HEAD)
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>"
            for row in self.rows
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def table_of(variables: dict[str, Any], timeout: float = STATUS_TIMEOUT) -> NodeTable:
    """Return the table of this session's nodes.

    Parameters
    ----------
    variables : dict
        Of the user. Nodes that have ended are shown as long as they are there.
    timeout : float
        Seconds that the nodes have for telling how they are.
    """
    spawned = current().attachment(Family).running()
    spawned += [
        node
        for name, node in variables.items()
        if isinstance(node, ProcessSpawner) and not name.startswith("_")
    ]
    spawned = list(dict.fromkeys(spawned))
    clients: dict[str, RPCClient] = {}
    for node in spawned:
        try:
            if node.poll() is None:
                clients[node.address] = node.client
        except (ServerDisconnected, RuntimeError):  # it ends just now, or is another process's
            continue
    known = {node.address for node in spawned}
    others = [c for c in current().thread().clients.values() if c.address not in known]
    for client in others:
        clients[client.address] = client
    told = dict(zip(clients, RPCClient.statuses(list(clients.values()), timeout)))
    rows = [_row_of_node(node, variables, told.get(node.address)) for node in spawned]
    rows += [_row_of_client(client, variables, told[client.address]) for client in others]
    return NodeTable(rows)


def _row_of_node(node: ProcessSpawner, variables: dict[str, Any], status: Status | None) -> NodeRow:
    code = node.proc.returncode
    state = f"ended with exit code {code}" if status is None and code is not None else "dead"
    since = memory = ""
    try:
        process = psutil.Process(node.pid)
        if status is not None:
            since = _clock(process.create_time())
            memory = f"{process.memory_info().rss / 1e6:.0f} MB"
    except psutil.Error:  # it has ended meanwhile
        pass
    shown = state if status is None else _state(status)
    variable = name_in(variables, node)
    return NodeRow(node.name, variable, str(node.pid), since, memory, shown, node.address)


def _row_of_client(client: RPCClient, variables: dict[str, Any], status: Status) -> NodeRow:
    name = client.whom().partition(" (")[0]
    variable = name_in(variables, client)
    return NodeRow(name, variable, "", "", "", _state(status), client.address)


def _state(status: Status) -> str:
    if status.state != "busy" or status.doing is None:
        return status.state
    return f"busy for {status.seconds or 0:.1f} s with {status.doing}"


def _clock(moment: float) -> str:
    began = time.localtime(moment)
    today = time.localtime()[:3] == began[:3]
    return time.strftime("%H:%M:%S" if today else "%Y-%m-%d %H:%M", began)
