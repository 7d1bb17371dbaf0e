"""What can go wrong when a node is started."""

from __future__ import annotations

__all__ = ["SpawnError"]


class SpawnError(RuntimeError):
    """A node could not be started.

    Attributes
    ----------
    exit_code : int or None
        Of the process, negative for a signal; None if it had not ended.
    stderr : str
        The end of what it wrote there.
    """

    def __init__(self, message: str, exit_code: int | None = None, stderr: str = "") -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.stderr = stderr

    def __str__(self) -> str:
        text = super().__str__()
        if self.stderr:
            text += "\n--- the end of its stderr ---\n" + self.stderr.rstrip()
        return text
