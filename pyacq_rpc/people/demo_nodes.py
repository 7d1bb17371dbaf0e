"""The objects that live in the nodes of the demo.

They know nothing of processes or sockets, save that a monitor asks the server
of its thread for a timer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import psutil

from pyacq_rpc import RPCServer, ServerDisconnected, Timer

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

__all__ = ["History", "Monitor"]


class Monitor:
    """Samples the processors, the memory and the network of this machine.

    Examples
    --------
    >>> monitor = Monitor()
    >>> len(monitor.sample()) == 1 + len(monitor.signals())
    True
    """

    def __init__(self) -> None:
        self._timer: Timer | None = None
        self._receivers: Sequence[Callable[..., object]] = ()
        self._looked_at = time.monotonic()
        self._traffic = _traffic()
        psutil.cpu_percent(percpu=True)  # the first one says nothing: it has no interval

    def signals(self) -> list[tuple[str, str]]:
        """Return name and unit of each signal, in the order of a sample."""
        cores = psutil.cpu_count() or 1
        return [
            *((f"CPU {core}", "%") for core in range(cores)),
            ("memory", "B"),
            ("received", "B/s"),
            ("sent", "B/s"),
        ]

    def sample(self) -> list[float]:
        """Look at the machine now.

        Returns
        -------
        list of float
            The time in seconds since the epoch, then the value of each signal;
            the rates are means since the previous sample.
        """
        now, traffic = time.monotonic(), _traffic()
        took = max(now - self._looked_at, 1e-6)
        rates = [(new - old) / took for new, old in zip(traffic, self._traffic)]
        self._looked_at, self._traffic = now, traffic
        cores: list[float] = psutil.cpu_percent(percpu=True)
        return [time.time(), *cores, float(psutil.virtual_memory().used), *rates]

    def start(self, receivers: Sequence[Callable[..., object]], interval: float) -> None:
        """Sample at regular intervals from now on.

        Parameters
        ----------
        receivers : sequence of callable
            Each is given each sample. Proxies: what they stand for is called in
            the process and thread that they came from.
        interval : float
            In seconds.

        Raises
        ------
        RuntimeError
            If there is no server in this thread that could run the timer.
        """
        server = RPCServer.get_server()
        if server is None:
            raise RuntimeError("a monitor samples in the thread of a server, and this has none")
        self.stop()
        self._receivers = receivers
        self.sample()  # rates are about the time from now on
        self._timer = server.start_timer(self._give, interval)

    def stop(self) -> None:
        """Stop sampling."""
        if self._timer is not None:
            self._timer.stop()
            self._timer = None

    def _give(self) -> None:
        sample = self.sample()
        self._receivers = [one for one in self._receivers if _reaches(one, sample)]


class History:
    """Keeps the samples that it is sent, and computes what they come to.

    Examples
    --------
    >>> import numpy as np
    >>> history = History()
    >>> history.append(np.array([0.0, 1.0]))
    >>> history.append(np.array([0.1, 3.0]))
    >>> history.summary()[:, 0]
    array([2., 1., 3.])
    """

    def __init__(self) -> None:
        self._samples: list[Array] = []

    def append(self, sample: Array) -> None:
        """Keep one sample.

        Parameters
        ----------
        sample : array of float64, shape (1 + signals,)
            A time in seconds, then the value of each signal.
        """
        self._samples.append(sample)

    def summary(self) -> Array:
        """Return mean, standard deviation and maximum of each signal.

        Returns
        -------
        array of float64, shape (3, signals)

        Raises
        ------
        ValueError
            If there are no samples yet.
        """
        import numpy as np

        values = self.samples()[:, 1:]
        return np.stack([values.mean(axis=0), values.std(axis=0), values.max(axis=0)])

    def samples(self) -> Array:
        """Return all samples.

        Returns
        -------
        array of float64, shape (samples, 1 + signals)
            In the order in which they came.
        """
        import numpy as np

        if not self._samples:
            raise ValueError("there are no samples yet")
        return np.array(self._samples)


def _reaches(receiver: Callable[..., object], sample: list[float]) -> bool:
    """Give somebody a sample; whether there is still somebody."""
    try:
        # A sampler does not wait for those who look at its samples.
        receiver(sample, _sync="off")
    except ServerDisconnected:
        return False
    return True


def _traffic() -> tuple[int, int]:
    """Bytes received and sent since the machine was started."""
    counters = psutil.net_io_counters()
    return (counters.bytes_recv, counters.bytes_sent) if counters else (0, 0)
