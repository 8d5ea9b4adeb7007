"""Ctrl-C, SIGTERM and SIGHUP as an event that a training looks at between two steps."""

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_log = logging.getLogger("unet2015")


@contextmanager
def interruptible(alone: bool) -> Iterator[threading.Event]:
    """Turn the first Ctrl-C, SIGTERM or SIGHUP into an event, so that a step is never cut in half.

    If the process is alone, the second signal acts as usual. With torchrun it does nothing, because
    torchrun may pass on a signal that the process has already received. A signal that was ignored before,
    as SIGHUP under nohup, stays ignored.
    """
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return

    def note(number: int, frame: object) -> None:
        if not event.is_set():
            _log.warning("interrupted: finishing the step and saving a checkpoint")
        event.set()
        if alone:
            restore()

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    names = ("SIGINT", "SIGTERM", "SIGHUP")  # Windows lacks the last
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    before = {
        number: signal.signal(number, note)
        for number in numbers
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield event
    finally:
        restore()
