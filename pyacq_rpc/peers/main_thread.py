"""When the main thread has ended, and Python waits for the other threads.

`atexit` is too late for whoever wants to end a thread: its hooks run when all
threads that are no daemons have ended.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

__all__ = ["call_at_its_end"]


def call_at_its_end(hook: Callable[[], object]) -> bool:
    """Have `hook` called when the main thread has ended; False if it has already.

    Parameters
    ----------
    hook : callable
        Must not wait.
    """
    # `concurrent.futures` ends its threads by the same function. There is no
    # public one: a thread that joins the main thread tells its end as well,
    # but nothing can wake it before.
    register = getattr(threading, "_register_atexit", None)
    if register is None:
        return _call_from_a_thread(hook)
    try:
        register(hook)
    except RuntimeError:  # "can't register atexit after shutdown"
        return False
    return True


def _call_from_a_thread(hook: Callable[[], object]) -> bool:
    main = threading.main_thread()

    def wait() -> None:
        main.join()
        hook()

    threading.Thread(target=wait, name="pyacq-rpc end of the program", daemon=True).start()
    return main.is_alive()
