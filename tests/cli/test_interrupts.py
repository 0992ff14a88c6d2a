"""Signals: the first is noted, a second one is obeyed at once, and none is a traceback."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from neurograph import runs
from neurograph.cli import _interrupts
from neurograph.cli._interrupts import Interrupts, exit_code
from tests.support.command_line import SHORT
from tests.support.helpers import thorough

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals")
STOPPING = ("SIGINT", "SIGTERM", "SIGHUP")


@pytest.fixture(autouse=True)
def no_terminal(monkeypatch) -> Iterator[None]:
    """Nothing of the tests' own terminal is changed, they are never ended, and no signal is ignored from the start."""
    monkeypatch.setattr(os, "isatty", lambda _: False)
    monkeypatch.setattr(_interrupts, "GRACE", 600.0)
    old = {name: signal.signal(getattr(signal, name), signal.default_int_handler) for name in STOPPING}
    yield
    for name, handler in old.items():
        signal.signal(getattr(signal, name), handler)


def send(*names: str) -> None:
    for name in names:
        signal.raise_signal(getattr(signal, name))


def handlers() -> list[object]:
    noted = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(noted)
    return [noted, *(signal.getsignal(getattr(signal, name)) for name in STOPPING)]


@pytest.mark.parametrize("name", STOPPING)
def test_the_first_signal_is_noted(name):
    before = handlers()
    with Interrupts("") as interrupts:
        assert not interrupts.requested()
        send(name)
        assert interrupts.requested()
    assert handlers() == before


@pytest.mark.parametrize(
    ("names", "code"),
    [(("SIGINT", "SIGINT"), 130), (("SIGINT", "SIGTERM"), 143), (("SIGHUP", "SIGTERM", "SIGHUP", "SIGTERM"), 143)],
)
def test_a_second_one_ends_the_command(names, code):
    before = handlers()
    with pytest.raises(KeyboardInterrupt) as error, Interrupts(""):
        send(*names)
    assert exit_code(*error.value.args) == code
    assert handlers() == before


def test_a_terminal_that_is_closed_may_tell_twice_and_a_supervisor_follow():
    """Shell and terminal both send SIGHUP; a log-out sends SIGTERM after it."""
    with Interrupts("") as interrupts:
        send("SIGHUP", "SIGHUP", "SIGTERM", "SIGHUP")
        assert interrupts.requested()


@pytest.mark.parametrize("name", STOPPING)
def test_what_is_ignored_stays_so(name):
    """SIGHUP under nohup, SIGINT in the background of a script."""
    old = signal.signal(getattr(signal, name), signal.SIG_IGN)
    try:
        with Interrupts("") as interrupts:
            send(name)
            assert not interrupts.requested()
        assert signal.getsignal(getattr(signal, name)) is signal.SIG_IGN
    finally:
        signal.signal(getattr(signal, name), old)


def test_what_is_printed_to_a_terminal_that_is_closed_is_no_error(monkeypatch):
    other, terminal = os.openpty()
    monkeypatch.setattr(os, "isatty", lambda descriptor: descriptor == 2)
    kept = os.dup(2)
    try:
        os.dup2(terminal, 2)
        with Interrupts(""):
            os.close(other)
            with pytest.raises(OSError, match="Input/output error"):
                os.write(2, b"a line of progress")
            send("SIGHUP")
            os.write(2, b"a line of progress")
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(terminal)


# --- processes ------------------------------------------------------------------------------------------------------

COMPILING = """
import hashlib
from neurograph.cli._interrupts import Interrupts
with Interrupts("interrupted; continue with: ..."):
    print("ready", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)  # as a compilation does, it lets other threads run
"""
COMMAND = (sys.executable, "-m", "neurograph")


@pytest.mark.parametrize("name", thorough(["SIGINT", "SIGTERM"], ci=["SIGINT"]))
def test_a_second_signal_ends_what_python_does_not_interrupt(name):
    number = getattr(signal, name)
    with subprocess.Popen([sys.executable, "-c", COMPILING], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            process.send_signal(number)
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(timeout=0.8)
            process.send_signal(number)
            _, said = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 128 + number
    assert said == b"neurograph: interrupted; continue with: ...\n"


_GRACE_OF_PROCESSES = 0.5
IMPORTING = """
import signal, sys
from neurograph import __main__
signal.signal(signal.SIGINT, __main__._interrupted)
sys.path.insert(0, sys.argv[1])
import library
print("goes on")
"""
LIBRARY = """
import signal
try:
    signal.raise_signal(signal.SIGINT)
except BaseException:
    pass
"""


def test_a_library_that_is_imported_does_not_swallow_an_interrupt(tmp_path):
    (tmp_path / "library.py").write_text(LIBRARY)
    found = subprocess.run([sys.executable, "-c", IMPORTING, str(tmp_path)], capture_output=True, check=False)
    assert (found.returncode, found.stdout, found.stderr) == (130, b"", b"neurograph: interrupted.\n")


LOST = """
import signal, sys, time
from neurograph import __main__
class Callback:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)
signal.signal(signal.SIGINT, __main__._interrupted)
sys.unraisablehook = __main__._unraised
try:
    Callback()
    time.sleep(60)
except KeyboardInterrupt:
    print("came again")
"""


def test_an_interrupt_that_is_lost_in_a_callback_comes_again():
    found = subprocess.run([sys.executable, "-c", LOST], capture_output=True, check=False)
    assert (found.returncode, found.stdout, found.stderr) == (0, b"came again\n", b"")


def test_the_package_changes_no_handler_of_a_program_that_calls_it(run):
    before = handlers()
    assert run("--help").code == 0
    assert handlers() == before


IN_A_TERMINAL = """
import fcntl, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from neurograph.__main__ import run
run()
"""


@pytest.mark.slow
def test_a_run_whose_terminal_is_closed_is_saved(tmp_path):
    """The system tells all processes of the terminal, and each write to it is an error from then on."""
    folder = tmp_path / "run"
    other, terminal = os.openpty()
    arguments = ["train", "xor", "--steps", "100000000", "--out", str(folder)]
    process = subprocess.Popen(
        [sys.executable, "-c", IN_A_TERMINAL, *arguments],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
    )
    os.close(terminal)
    with process:
        try:
            while not (folder / "metrics.jsonl").exists():
                assert process.poll() is None
                os.read(other, 10_000)
            os.close(other)
            assert process.wait(timeout=120) == 130
        finally:
            process.kill()
    summary = (folder / "summary.json").read_text()
    assert f'"steps": {runs.load_checkpoint(folder).step},' in summary
    assert runs.load_checkpoint(folder).step > 0


def starts_within() -> float:
    """Seconds after which a process of the command line has surely come to its first line, by three trials."""
    seconds = []
    for _ in range(3):
        began = time.monotonic()
        subprocess.run([sys.executable, "-c", "import neurograph.__main__"], check=True)
        seconds.append(time.monotonic() - began)
    return 2 * max(seconds)


WAYS = {
    "module": COMMAND,
    "script": (sys.executable, "-c", "import sys; from neurograph.__main__ import run; sys.exit(run())"),
}
COMMANDS = {
    "train": ("train", "xor", *SHORT),
    "evaluate": ("evaluate", "xor", "--task", "xor", "--genome", "backprop", "--steps", "5", "--draws", "2"),
    "inspect": ("inspect", "xor"),
    "help": ("--help",),
}


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("command", COMMANDS)
def test_ctrl_c_is_no_traceback_at_any_moment(command, way, tmp_path):
    """Before the first line of the package is run, a traceback would be Python's own: no delay is shorter than that."""
    first = starts_within()
    for _ in range(30):
        process = subprocess.Popen(
            [*WAYS[way], *COMMANDS[command]], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path
        )
        delay = first + random.uniform(0.0, 2.0)
        with process:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=delay)
            process.send_signal(signal.SIGINT)
            out, said = process.communicate(timeout=120)
        told = said.decode()
        assert process.returncode in (0, 130), (delay, told)
        assert "Traceback" not in told, (delay, told)
        assert "Exception ignored" not in told, (delay, told)
        assert process.returncode == 0 or "neurograph: " in told, (delay, out, told)
