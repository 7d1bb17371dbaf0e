"""The magics: ``%nodes``, ``%spawn``, ``%%remote``, ``%interrupt`` and ``%rich``."""

from __future__ import annotations

from typing import Any

from IPython.core.error import UsageError
from IPython.core.magic import Magics, line_cell_magic, line_magic, magics_class
from IPython.core.magic_arguments import argument, magic_arguments, parse_argstring

from pyacq_rpc import ObjectProxy, RPCClient, ServerDisconnected
from spawner import ProcessSpawner

from .display import Display, Rendering
from .interrupting import Interruption
from .nodes import NodeTable, table_of
from .sending import of_cell, send_cell

__all__ = ["NodeMagics"]

_ON_OFF = {"on": True, "off": False}


@magics_class
class NodeMagics(Magics):
    """What ``%load_ext pyacq_rpc`` adds to the commands of a prompt.

    Parameters
    ----------
    shell : InteractiveShell
    display : Display
    interruption : Interruption
    """

    shell: Any  # None only for magics that are made without

    def __init__(self, shell: Any, display: Display, interruption: Interruption) -> None:
        super().__init__(shell)
        self._display = display
        self._interruption = interruption

    @line_magic
    def nodes(self, line: str) -> NodeTable:
        """Show the nodes of this session: how they are, and what they do.

        Those that were started here, and those that it is connected to.
        """
        if line.strip():
            raise UsageError("%nodes takes no arguments")
        return table_of(self.shell.user_ns)

    @magic_arguments()
    @argument("name", help="what the node and the variable that holds it are called")
    @argument("--qt", action="store_true", help="a node with a GUI")
    @argument("--cwd", help="its working directory")
    @argument(
        "--output",
        choices=["inherit", "capture", "log", "discard"],
        help="where what it prints goes, outside of %%%%remote",
    )
    @line_magic
    def spawn(self, line: str) -> ProcessSpawner:
        """Start a node, and hold it by a variable of its name.

        It ends with this session, or by ``NAME.stop()``.
        """
        given = parse_argstring(self.spawn, line)
        name = given.name
        if not name.isidentifier():
            raise UsageError(f"%spawn: {name!r} cannot be the name of a variable")
        there = self.shell.user_ns.get(name)
        if isinstance(there, ProcessSpawner):
            if there.poll() is None:
                raise UsageError(f"%spawn: {name} runs already; {name}.stop() ends it")
        elif name in self.shell.user_ns:
            raise UsageError(f"%spawn: {name} is a variable of yours; take another name")
        node = ProcessSpawner(name=name, qt=given.qt, cwd=given.cwd, output=given.output)
        self.shell.user_ns[name] = node
        return node

    @line_cell_magic
    def remote(self, line: str, cell: str | None = None) -> Rendering | None:
        """Run a cell in a node: ``%%remote NAME``, or ``%remote NAME code`` for a line.

        NAME is a variable that holds a node, a client or a proxy, or an address. What the
        cell prints comes as it does, and the last expression is shown. Its variables
        are kept there, in the module ``__remote__``. Ctrl-C interrupts it.
        """
        name, _, rest = line.strip().partition(" ")
        if not name or (cell is not None and rest.strip()):
            raise UsageError("usage: %%remote NAME, or %remote NAME code")
        try:
            client = self._client(name)
        except ServerDisconnected as error:
            raise of_cell(error) from None
        source = rest.strip() if cell is None else cell
        title = f"{name}, cell {self.shell.displayhook.prompt_count}"
        return send_cell(client, source, title)

    @line_magic
    def interrupt(self, line: str) -> None:
        """Interrupt the call that Ctrl-C has ceased to wait for; or what NAME does.

        ``%interrupt NAME`` interrupts whatever that node does, whoever asked for it.
        """
        name = line.strip()
        if not name:
            print(self._interruption.stop())
        elif self._client(name).interrupt():
            print(f"Interrupted what {name} did.")
        else:
            print(f"{name} does nothing that could be interrupted.")

    @line_magic
    def rich(self, line: str) -> Rendering | None:
        """Show a remote object as a notebook shows local ones.

        ``%rich EXPRESSION`` shows that proxy's object now. ``%rich on`` has all proxies
        that are echoed shown like that, by one request each; ``%rich off`` ends it.
        """
        what = line.strip()
        if what in _ON_OFF:
            self._display.turn(_ON_OFF[what])
            return None
        if not what:
            print(f"rich display of proxies is {'on' if self._display.is_on else 'off'}")
            return None
        found = self.shell.ev(what)
        if not isinstance(found, ObjectProxy):
            raise UsageError(f"%rich: {what} is no proxy; IPython shows it by itself")
        return self._display.rendering(found)

    def _client(self, name: str) -> RPCClient:
        """Return the client of what a user has named."""
        if "://" in name:
            found: Any = RPCClient.get_client(name)
        else:
            found = self.shell.user_ns.get(name)
        if isinstance(found, ProcessSpawner):
            return found.client
        if isinstance(found, ObjectProxy):
            found = RPCClient.get_client(found._rpc_addr)
        if isinstance(found, RPCClient):
            return found
        nodes = [row.variable for row in table_of(self.shell.user_ns).rows if row.variable]
        known = ", ".join(nodes) or "none; %spawn NAME starts one"
        raise UsageError(f"{name!r} is no node; there are: {known}")
