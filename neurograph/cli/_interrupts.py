"""Signals that stop a command which runs long: the first is noted, a second one is obeyed at once."""

import contextlib
import os
import signal
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket

GRACE = 0.5
"""Seconds after a second signal until the process ends, whatever it computes."""

_IMPATIENT = (signal.SIGINT, signal.SIGTERM)
"""Those of which a second one counts. SIGHUP may come twice, from the shell and from the terminal that is closed."""
_SHOW_CURSOR = b"\x1b[?25h"


class Interrupts:
    """SIGINT, SIGTERM and SIGHUP stop a run after the current steps; a second SIGINT or SIGTERM ends it at once.

    The second raises KeyboardInterrupt. Python does so between two of its own instructions only, and XLA may compile
    for minutes: a thread waits for the signals, too, and ends the process where it does not end by itself. What is
    ignored stays so, as SIGHUP is under `nohup`, and SIGINT in the background of a script.

    Args:
        farewell: the sentence with which the thread ends the process.
    """

    def __init__(self, farewell: str) -> None:
        self._farewell = farewell
        self._is_requested = self._is_impatient = False
        self._terminals: list[int] = []
        self._has_ended = threading.Event()
        self._undo = contextlib.ExitStack()

    def requested(self) -> bool:
        return self._is_requested

    def __enter__(self) -> "Interrupts":
        if threading.current_thread() is not threading.main_thread():  # which alone is sent signals
            return self
        import socket

        self._terminals = [descriptor for descriptor in (1, 2) if os.isatty(descriptor)]
        noted, watched = socket.socketpair()
        noted.setblocking(False)
        watcher = threading.Thread(target=self._watch, args=(watched,), daemon=True)
        self._undo.callback(watcher.join)
        self._undo.callback(noted.close)  # which ends the thread
        self._undo.callback(self._has_ended.set)
        self._undo.callback(signal.set_wakeup_fd, signal.set_wakeup_fd(noted.fileno(), warn_on_full_buffer=False))
        watcher.start()
        for number in (*_IMPATIENT, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])):
            old = signal.getsignal(number)
            if old not in (signal.SIG_IGN, None):  # None: another than Python's
                signal.signal(number, self._handle)
                self._undo.callback(signal.signal, number, old)
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    def _handle(self, number: int, _frame: object) -> None:
        if number not in _IMPATIENT:
            self._leave_terminals()
        elif self._is_impatient:
            raise KeyboardInterrupt(number)
        else:
            self._is_impatient = True
        self._is_requested = True

    def _leave_terminals(self) -> None:
        """What is printed from now on goes nowhere: writing to a terminal that is closed would be an error."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for descriptor in self._terminals:
            os.dup2(nowhere, descriptor)
        os.close(nowhere)

    def _watch(self, watched: "socket.socket") -> None:
        n_impatient = 0
        with watched:
            while byte := watched.recv(1):
                number = byte[0]
                n_impatient += number in _IMPATIENT
                if number in _IMPATIENT and n_impatient > 1 and not self._has_ended.wait(GRACE):
                    with contextlib.suppress(OSError):
                        for descriptor in self._terminals:  # a line of progress stands there, without a cursor
                            os.write(descriptor, _SHOW_CURSOR + b"\n")
                        os.write(2, f"neurograph: {self._farewell}\n".encode(errors="replace"))
                    os._exit(exit_code(number))


def exit_code(number: int = signal.SIGINT) -> int:
    """The exit code of a process that a signal ends: 130 for SIGINT, 143 for SIGTERM."""
    return 128 + number
