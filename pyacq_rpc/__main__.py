"""The command line: ``python -m pyacq_rpc``, or ``pyacq-rpc``."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from pyacq_rpc import RPCError
from pyacq_rpc.people.commands import make_parser
from pyacq_rpc.people.failing import CommandError

__all__ = ["main"]

INTERRUPTED = 130
"""Exit code after Ctrl-C: 128 plus the number of the signal, as shells have it."""

UNREAD = 141
"""Exit code when nobody reads the output any more, likewise."""


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line says.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments; by default those of this process.

    Returns
    -------
    int
        The exit code: 0; 1 for what could not be done, with a sentence on stderr that says why;
        130 after Ctrl-C.

    Raises
    ------
    SystemExit
        If the arguments are wrong, with the code 2, or only ask for help.
    """
    options = make_parser().parse_args(argv)
    try:
        code: int = options.run(options)
        sys.stdout.flush()
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted.\n")
        return INTERRUPTED
    except BrokenPipeError:  # `pyacq-rpc ls | head -1`
        # What is left in the buffer would be complained about at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UNREAD
    except (CommandError, RPCError) as error:
        sys.stderr.write(f"pyacq-rpc {options.command}: {error}\n")
        return 1
    return code


if __name__ == "__main__":
    sys.exit(main())
