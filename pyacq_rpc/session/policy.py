"""The one place that decides what a peer may do.

Every attribute, item, call, assignment, deletion and import that a peer asks
for, deferred chains included, is put to the server's policy before it is done.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol

__all__ = ["NOTHING_PUBLISHED", "Policy", "Trusted"]

NOTHING_PUBLISHED: Mapping[str, object] = MappingProxyType({})


class Policy(Protocol):
    """Decides on one access at a time.

    Attributes
    ----------
    tracebacks : bool
        Whether clients are shown source: the tracebacks of what they have called,
        which the server logs if not, and what `help` and a prompt want to know.

    See Also
    --------
    Trusted : The policy between the processes of one user.
    pyacq_rpc.session.service.Service : The policy for everybody else.
    """

    @property
    def tracebacks(self) -> bool:
        """Whether clients are shown tracebacks."""

    def check(
        self,
        access: str,
        obj: object,
        name: str | None = None,
        owner: object = None,
        published: Mapping[str, object] = NOTHING_PUBLISHED,
    ) -> None:
        """Return if the access is granted.

        Parameters
        ----------
        access : str
            ``'getattr'``, ``'setattr'``, ``'delattr'``, ``'call'``,
            ``'special'`` (an operator or other special method), ``'value'``
            (a copy), ``'argument'`` (a reference that has come home: in an
            argument, or in the result of a callback), ``'describe'`` (what `help`
            and Tab show of it), ``'keys'`` (what Tab shows of its items),
            ``'display'`` (what a notebook shows of it), ``'delete'`` (of a
            reference, for all who hold it), or on the server itself (`obj` is
            None) ``'get_item'``, ``'set_item'``, ``'import'``, ``'transfer'``,
            ``'batch'`` (of requests, each of which is asked about as well),
            ``'ping'``, ``'time'``, ``'close'``, ``'status'``, ``'stats'``,
            ``'names'``, ``'interrupt'``.
        obj : object
            What is accessed.
        name : str or None
            The attribute, special method, item or module. Of a call, an argument
            and a description, the attribute by which `obj` was reached just now;
            None if it was reached by a reference or a published name.
        owner : object
            Of these with a `name`, what has that attribute.
        published : mapping
            Of these, what the server publishes, by name.

        Raises
        ------
        AccessDenied
            If it is not.
        """


class Trusted:
    """Grants everything: whoever may connect may run any code there.

    This is the default between processes of one user.

    Examples
    --------
    >>> Trusted().check("import", None, "os")
    """

    tracebacks = True

    def check(
        self,
        access: str,
        obj: object,
        name: str | None = None,
        owner: object = None,
        published: Mapping[str, object] = NOTHING_PUBLISHED,
    ) -> None:
        """Grant the access."""
