"""The process of the command line: `python -m neurograph`, and the script `neurograph`.

From here on Ctrl-C ends it without a traceback, also while libraries are imported: some would swallow the exception
that it raises, or abort.
"""

import _thread
import contextlib
import os
import signal
import sys
import threading
from types import FrameType
from typing import NoReturn


def run() -> None:
    """Runs the command that the arguments name, and ends the process."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else it is ignored, as in the background
        signal.signal(signal.SIGINT, _interrupted)
        sys.unraisablehook = _unraised
    from .cli import main

    try:
        main()
    except KeyboardInterrupt:  # between two commands of its end
        _leave()
    except SystemExit as end:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # all is done: nothing is left to be interrupted
        if end.code in (130, 143):  # threads of XLA may still compute, in which Python's own end would crash
            with contextlib.suppress(OSError):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(end.code)
        raise


def _leave() -> NoReturn:
    os.write(2, b"neurograph: interrupted.\n")
    os._exit(130)


def _interrupted(_number: int, frame: FrameType | None) -> None:
    """Ends the process at once while a module is being imported; else raises KeyboardInterrupt, as Python does."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            _leave()
        frame = frame.f_back
    raise KeyboardInterrupt


def _unraised(what: "sys.UnraisableHookArgs") -> None:
    """Has an interrupt come again, a little later, that was raised where exceptions are lost, as in JAX's callbacks."""
    if issubclass(what.exc_type, KeyboardInterrupt):
        number = next(iter(getattr(what.exc_value, "args", ())), signal.SIGINT)  # as `cli._interrupts` gives it
        again = threading.Timer(0.02, _send, [number])
        again.daemon = True
        again.start()
    else:
        sys.__unraisablehook__(what)


def _send(number: int) -> None:
    """Sends a signal to the main thread, also where that waits for something."""
    main = threading.main_thread().ident
    if hasattr(signal, "pthread_kill") and main is not None:
        signal.pthread_kill(main, number)
    else:
        _thread.interrupt_main(signal.Signals(number))


if __name__ == "__main__":
    run()
