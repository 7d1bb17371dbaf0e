"""The one place that decides what a peer may do.

Every attribute, item, call, assignment, deletion and import that a peer asks
for, deferred chains included, is put to the server's policy before it is done.
"""

from __future__ import annotations

from typing import Protocol

__all__ = ["Policy", "Trusted"]


class Policy(Protocol):
    """Decides on one access at a time.

    See Also
    --------
    Trusted : The policy between the processes of one user.
    """

    def check(self, access: str, obj: object, name: str | None) -> None:
        """Return if the access is granted.

        Parameters
        ----------
        access : str
            ``'getattr'``, ``'setattr'``, ``'delattr'``, ``'call'``,
            ``'special'`` (an operator or other special method), ``'value'``
            (a copy), ``'delete'`` (of a reference, for all who hold it), or on
            the server itself (`obj` is None) ``'get_item'``,
            ``'set_item'``, ``'import'``, ``'transfer'``, ``'close'``,
            ``'status'``, ``'interrupt'``.
        obj : object
            What is accessed.
        name : str or None
            The attribute, special method, item or module.

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

    def check(self, access: str, obj: object, name: str | None) -> None:
        """Grant the access."""
