"""``pyacq-rpc completion``: what has bash and zsh complete the command line."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator

from pyacq_rpc import RPCError

from ...wire.messages import Target
from ..failing import CommandError
from .arguments import Commands

__all__ = ["add_parser", "script"]

_TIMEOUT = 1.0
"""Seconds that somebody who has pressed Tab waits for a server."""


def add_parser(commands: Commands) -> None:
    """Add the command to those of the program."""
    parser = commands.add_parser(
        "completion",
        help="print what has bash or zsh complete this command line",
        description="Print a script that has the shell complete commands, options, names of"
        " servers, and what those publish. For bash, put this into ~/.bashrc, and for zsh"
        " likewise into ~/.zshrc, after compinit:",
        epilog='    eval "$(pyacq-rpc completion bash)"',
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "what",
        choices=("bash", "zsh", "servers", "targets"),
        help="the shell; or what its script asks for: servers, or the targets of one",
    )
    parser.add_argument("server", nargs="?", metavar="NAME", help="the server, for targets")
    parser.add_argument("begun", nargs="?", default="", metavar="TEXT", help="what is begun")
    parser.set_defaults(run=_completion)


def _completion(options: argparse.Namespace) -> int:
    if options.what in ("bash", "zsh"):
        from . import make_parser

        print(script(make_parser(), options.what), end="")
        return 0
    with contextlib.suppress(CommandError, RPCError):  # nothing is completed, and that is all
        for word in _words(options.what, options.server or "", options.begun):
            print(word)
    return 0


def _words(what: str, server: str, begun: str) -> list[str]:
    """Return how something may go on: names of servers, targets, or the members of one."""
    from ..reaching import all_listed, reach

    if what == "servers":
        return [listed.name for listed in all_listed()]
    client = reach(server, _TIMEOUT)
    owner, dot, _ = begun.rpartition(".")
    if not dot:
        return client.keys(_TIMEOUT)
    name, *attributes = owner.split(".")
    target = Target("@" + name, [*attributes, "__dir__"])
    options = {"obj": target, "args": [], "kwargs": {}}
    members = client.send("call_obj", options, timeout=_TIMEOUT)
    return [f"{owner}.{member}" for member in members if not member.startswith("_")]


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    """Return the script that has a shell complete the command line of a parser.

    zsh runs that of bash, with what it brings for such scripts.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        With commands.
    shell : {'bash', 'zsh'}
    """
    commands = _choices(parser)
    cases = "\n".join(_case(name, command) for name, command in commands.items())
    text = _SCRIPT.format(
        commands=" ".join([*commands, *_options(parser)]),
        cases=cases,
        name=parser.prog,
        function="_" + parser.prog.replace("-", "_"),
    )
    before = "autoload -U +X bashcompinit && bashcompinit\n" if shell == "zsh" else ""
    return before + text


_SCRIPT = """\
{function}() {{
    local current="${{COMP_WORDS[COMP_CWORD]}}" words="" first="" index=0 at=2
    while [ "$at" -lt "$COMP_CWORD" ]; do
        case "${{COMP_WORDS[$at]}}" in
        -*) ;;
        *) index=$((index + 1)); first="${{first:-${{COMP_WORDS[$at]}}}}" ;;
        esac
        at=$((at + 1))
    done
    if [ "$COMP_CWORD" = 1 ]; then words="{commands}"; else
    case "${{COMP_WORDS[1]}},$index,$current" in
{cases}
    esac; fi
    COMPREPLY=( $(compgen -W "$words" -- "$current") )
}}
complete -o default -F {function} {name}
"""

_ASKED = {
    "SERVER": '"$("${COMP_WORDS[0]}" completion servers 2>/dev/null)"',
    # A dot may follow, and what comes after that.
    "TARGET": '"$("${COMP_WORDS[0]}" completion targets "$first" "$current" 2>/dev/null)";'
    " compopt -o nospace 2>/dev/null",
}
"""Arguments that are completed by what is there at that moment."""


def _case(name: str, command: argparse.ArgumentParser) -> str:
    """Return what can be said after a command: options, and each argument in its place."""
    lines = [f'    {name},*,-*) words="{" ".join(_options(command))}" ;;']
    for index, action in enumerate(_positionals(command)):
        if action.choices:
            lines.append(f'    {name},{index},*) words="{" ".join(action.choices)}" ;;')
        elif action.metavar in _ASKED:
            place = "*" if action.nargs == "*" else index
            lines.append(f"    {name},{place},*) words={_ASKED[action.metavar]} ;;")
    return "\n".join(lines)


def _positionals(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    return (action for action in parser._actions if not action.option_strings)


def _options(parser: argparse.ArgumentParser) -> list[str]:
    return [text for action in parser._actions for text in action.option_strings]


def _choices(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}
