"""``pyacq-rpc shell``: a prompt that holds what a server publishes."""

from __future__ import annotations

import argparse
import builtins
import keyword
import sys
from typing import TYPE_CHECKING, Any

from pyacq_rpc import CallTimeout

from ..failing import CommandError
from .arguments import Commands, add_server

if TYPE_CHECKING:
    from pyacq_rpc import RPCClient

__all__ = ["add_parser", "namespace_of"]


def add_parser(commands: Commands) -> None:
    """Add the command to those of the program."""
    parser = commands.add_parser(
        "shell",
        help="a prompt that holds what a server publishes",
        description="Open IPython, or the plain prompt of Python where that is not installed, with"
        " proxies of all that the server publishes as variables, and its client as 'client'.",
    )
    add_server(parser)
    parser.set_defaults(run=_shell)


def _shell(options: argparse.Namespace) -> int:
    from ..reaching import reach

    client = reach(options.server)
    namespace, others = namespace_of(client)
    banner = _banner(client, namespace, others)
    try:
        from IPython import start_ipython
        from traitlets.config import Config
    except ImportError:
        _plain_prompt(namespace, banner)
        return 0
    config = Config()
    config.TerminalIPythonApp.display_banner = True
    config.TerminalInteractiveShell.banner1 = banner
    config.TerminalInteractiveShell.banner2 = ""
    config.TerminalInteractiveShell.confirm_exit = sys.stdin.isatty()
    start_ipython(argv=[], user_ns=namespace, config=config)
    return 0


def namespace_of(client: RPCClient) -> tuple[dict[str, Any], list[str]]:
    """Return what the prompt begins with, and the published names that are no variables there.

    Raises
    ------
    CommandError
        If the server is too busy to give the proxies.
    """
    names = client.keys()
    fit = [name for name in names if _is_variable(name)]
    futures = {
        name: client.send("get_item", {"name": name}, return_type="proxy", sync="async")
        for name in fit
    }
    namespace: dict[str, Any] = {}
    try:
        for name, future in futures.items():
            namespace[name] = future.result(client.timeout)
    except CallTimeout:
        status = client.status()
        raise CommandError(
            f"{client.channel.server} is busy with {status.doing or 'something'}; try again when it"
            " has ended"
        ) from None
    namespace["client"] = client
    return namespace, [name for name in names if name not in fit]


def _is_variable(name: str) -> bool:
    """Whether a name can be a variable, and hides nothing that is used at a prompt."""
    is_taken = name == "client" or hasattr(builtins, name) or keyword.iskeyword(name)
    return name.isidentifier() and not is_taken and not name.startswith("_")


def _banner(client: RPCClient, namespace: dict[str, Any], others: list[str]) -> str:
    lines = [f"{client.channel.server}: 'client' is its client."]
    variables = [
        f"{name} ({proxy._type_str})" for name, proxy in namespace.items() if proxy is not client
    ]
    if variables:
        lines.append(f"Published: {', '.join(variables)}.")
    if others:
        lines.append(f"And {', '.join(f'client[{name!r}]' for name in others)}.")
    if not variables and not others:
        lines.append("Nothing is published yet; client['name'] gets what will be.")
    return "\n".join(filter(None, lines)) + "\n"


def _plain_prompt(namespace: dict[str, Any], banner: str) -> None:
    import code
    import contextlib

    with contextlib.suppress(ImportError):  # a Python without readline
        import readline
        import rlcompleter

        readline.set_completer(rlcompleter.Completer(namespace).complete)
        readline.parse_and_bind("tab: complete")
    code.interact(banner.rstrip(), local=namespace, exitmsg="")
