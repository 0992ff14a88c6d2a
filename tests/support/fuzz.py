"""Damages files at random, and has them read: a reader gives a value or a sentence, never anything else.

    python -m tests.support.fuzz READER COUNT [SEED]    mutates, reads, prints what went wrong as JSON

Nothing that a reader raises beside a `UserError` is the user's fault; a read that takes longer than `LIMIT` seconds
hangs.
"""

import gzip
import importlib
import io
import json
import pathlib
import random
import resource
import signal
import sys
import tempfile
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from neurograph._text import UserError
from tests.support import fuzz_runs
from tests.support.data_files import write_omniglot

LIMIT = 10
LONGEST = 1000
"""Letters that a line of a message may have: it quotes the beginning of long values."""
MEMORY = 2_000_000_000
"""Bytes that the process may take beyond what it has when the first file is read."""
ROOT = pathlib.Path(__file__).parents[2]
FOREIGN = ROOT / "tests" / "data" / "foreign"
TOKENS = [
    b"",
    b"0",
    b"-1",
    b"1e999",
    b"nan",
    b"9" * 400,
    b"9" * 5000,
    b"0x" + b"f" * 4000,
    b"[" * 5000,
    b"{" * 3000,
    b"a: " * 2000,
    b"\0",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b'"',
    b"'",
    b"\n",
    b"\r",
    b"\t",
    b" ",
    b",",
    b";",
    b"#",
    b"&a [*a, *a]",
    b"*a",
    b"<<: *a",
    b"<x>",
    b"</node>",
    b'<!DOCTYPE g [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>',
    b"&b;",
    b"null",
    b"true",
    b"2024-01-01",
    b"!!python/object/apply:os.system ['false']",
    b"..",
    b"/dev/zero",
    b"\xe2\x80\xa8",
    b"id",
    b"weight",
    b"inf",
    b"-0.0",
    b"1_0",
    b"\xc2\xa0",
]


class Reader(NamedTuple):
    """A reader of files.

    Attributes:
        name: the file's name, whose suffix chooses the reader.
        read: reads the file.
        seeds: sound contents, made when they are needed.
    """

    name: str
    read: Callable[[pathlib.Path], Any]
    seeds: Callable[[], Sequence[bytes]]


def _files(*patterns: str) -> Callable[[], list[bytes]]:
    return lambda: [path.read_bytes() for pattern in patterns for path in sorted(ROOT.glob(pattern))]


def _call(module: str, function: str, *args: Any, **options: Any) -> Callable[[pathlib.Path], Any]:
    """Imports when it is called: the readers of wirings need no JAX."""
    return lambda path: getattr(importlib.import_module(module), function)(path, *args, **options)


def _task(path: pathlib.Path) -> Any:
    return _call("neurograph.tasks", "load")(str(path))  # pyright: ignore[reportArgumentType]


def _npz() -> list[bytes]:
    seeds = []
    for save in (np.savez, np.savez_compressed):
        stream = io.BytesIO()
        save(stream, x=np.eye(6), y=np.arange(6) % 2)
        seeds.append(stream.getvalue())
    return seeds


def _saved(suffix: str) -> Callable[[], list[bytes]]:
    def seeds() -> list[bytes]:
        from neurograph.topology import Population, build, files

        parts = [(Population("eye", "input", shape=(1, 2)), 2), (Population("hand", "output", activation="tanh"), 2)]
        ends = [0, 0, 1], [2, 3, 3]
        one = build(*ends, parts, labels=["a", 1, ("b", 2.5), None], weights=[[0.5, 1, 2], [3, 4, 5]], biases=[1] * 4)
        two = build(*ends, parts, name="plain")
        found = []
        with tempfile.TemporaryDirectory() as folder:
            for wiring in (one, two):
                path = pathlib.Path(folder) / f"wiring{suffix}"
                files.save(wiring, path)
                found.append(path.read_bytes())
        return found

    return seeds


def _both(*makers: Callable[[], Sequence[bytes]]) -> Callable[[], list[bytes]]:
    return lambda: [seed for make in makers for seed in make()]


def _images(path: pathlib.Path) -> Any:
    from neurograph.tasks.datasets._find import Source
    from neurograph.tasks.datasets._idx import read_idx

    return read_idx(Source(path), 3, (2, 2), most=100)


def _idx() -> list[bytes]:
    plain = bytes((0, 0, 8, 3)) + np.array([3, 2, 2], ">u4").tobytes() + bytes(range(12))
    return [plain, gzip.compress(plain, mtime=0)]


def _costs() -> list[bytes]:
    from neurograph.compile import costs

    return [costs.as_text(costs.default()).encode()]


def _omniglot(path: pathlib.Path) -> Any:
    from neurograph.tasks.datasets import DATA_SETS
    from neurograph.tasks.datasets._find import Source
    from neurograph.tasks.datasets._omniglot import read_characters
    from neurograph.tasks.datasets._registry import BACKGROUND

    return read_characters(Source(path), BACKGROUND, DATA_SETS["omniglot"], 28)


def _omniglot_zip() -> list[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        write_omniglot(pathlib.Path(folder), "zip", n_drawings=1)
        return [pathlib.Path(folder, "images_background.zip").read_bytes()]


_CONNECTIONS = b"source,target,weight\ns,a,3\na,b,2\nb,a,1\nb,m,4\nm,s,1\n"
_NEURONS = b"id,type,side\ns,sensory,L\na,inter,L\nb,inter,R\nm,motor,R\n"


def _connectome(path: pathlib.Path) -> Any:
    """Reads a table as that of connections if it begins as such a table, else as that of neurons."""
    from neurograph.topology import files, orientation

    is_edges = path.read_bytes().startswith(_CONNECTIONS[:4])
    other = path.with_name("other.csv")
    other.write_bytes(_NEURONS if is_edges else _CONNECTIONS)
    tables = (path, other) if is_edges else (other, path)
    found = files.read_connectome(*tables, inputs={"type": "sensory"}, outputs={"type": "motor"}, group="side")
    return orientation.wiring_of(found, weights="fractions")


_load = _call("neurograph.topology.files", "load")
READERS = {
    "yaml": Reader(
        "wiring.yaml", _load, _both(_files("topologies/*.yaml", "tests/data/foreign/yaml/*"), _saved(".yaml"))
    ),
    "csv": Reader("wiring.csv", _load, _both(_files("tests/data/foreign/edges/*"), _saved(".csv"))),
    "connectome": Reader("table.csv", _connectome, lambda: [_CONNECTIONS, _NEURONS]),
    "graphml": Reader(
        "wiring.graphml", _load, _both(_files("tests/data/foreign/graphs/*.graphml"), _saved(".graphml"))
    ),
    "json": Reader("wiring.json", _load, _both(_files("tests/data/foreign/graphs/d3*.json"), _saved(".json"))),
    "table": Reader("task.csv", _task, _files("tests/data/foreign/tasks/*")),
    "npz": Reader("task.npz", _task, _npz),
    "images": Reader("images", _images, _idx),
    "rule": Reader(
        "rule.txt",
        _call("neurograph.rules.files", "read"),
        _files("neurograph/rules/library/*.txt", "tests/data/version1/*.txt"),
    ),
    "costs": Reader("costs.json", _call("neurograph.compile.costs", "read"), _costs),
    "omniglot": Reader("images_background.zip", _omniglot, _omniglot_zip),
    **{
        f"{kind} {pathlib.Path(name).stem}": Reader("file", fuzz_runs.resume(kind, name), fuzz_runs.seeds(kind, name))
        for kind, names in fuzz_runs.FILES.items()
        for name in names
    },
}


def mutated(seeds: Sequence[bytes], rng: random.Random) -> bytes:
    """Gives one of the seeds with one to four damages."""
    data = bytearray(rng.choice(seeds))
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        at = rng.randrange(len(data) + 1)
        end = min(len(data), at + rng.choice((1, 2, 8, 64, 1024)))
        match rng.randrange(9):
            case 0 if data:
                data[at - 1] ^= 1 << rng.randrange(8)
            case 1:
                data[at:end] = rng.randbytes(end - at)
            case 2:
                del data[at:end]
            case 3:
                data[at:at] = data[at:end] * rng.choice((1, 3, 100))
            case 4:
                del data[at:]
            case 5:
                other = rng.choice(seeds)
                data[at:end] = other[rng.randrange(len(other) + 1) :][: rng.choice((8, 64, 1024))]
            case 6:
                _replace_number(data, rng)
            case _:
                data[at : at + rng.randrange(3)] = rng.choice(TOKENS)
    return bytes(data)


def _replace_number(data: bytearray, rng: random.Random) -> None:
    places = [i for i, byte in enumerate(data[:20_000]) if chr(byte).isdigit()]
    if places:
        at = rng.choice(places)
        data[at : at + 1] = rng.choice(TOKENS)


def failures(name: str, count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Reads damaged files, and gives for each that ends wrongly what was raised, and its number.

    Args:
        name: names the reader.
        count: how many files are read.
        seed: draws the damages; file number i depends on it and on i alone.
    """
    reader = READERS[name]
    seeds = reader.seeds()
    assert seeds
    wrong = []
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = pathlib.Path(folder) / reader.name
        for number in range(count):
            path.write_bytes(mutated(seeds, random.Random(f"{name} {seed} {number}")))
            found = _outcome(reader, path)
            if found is not None:
                wrong.append({"reader": name, "seed": seed, "number": number, "error": found})
    return wrong


def _outcome(reader: Reader, path: pathlib.Path) -> str | None:
    """Reads a file; None where that gives a value or a sentence."""
    try:
        if hasattr(signal, "alarm"):
            signal.alarm(LIMIT)
        reader.read(path)
    except UserError as error:
        text = str(error)
        if len(text) < LONGEST * (1 + text.count("\n")):
            return None
        return f"a message of {len(text):,} letters: {text[:300]}"
    except TimeoutError:
        return f"not done after {LIMIT} s"
    except BaseException as error:
        return f"{type(error).__name__}: {str(error)[:300]}"
    finally:
        if hasattr(signal, "alarm"):
            signal.alarm(0)
    return None


def _too_late(*_: Any) -> None:
    raise TimeoutError


def main() -> None:
    name, count, *rest = sys.argv[1:]
    _read_sound(name)  # which brings all imports with it
    used = int(pathlib.Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, -1))
    signal.signal(signal.SIGALRM, _too_late)
    print(json.dumps(failures(name, int(count), int(rest[0]) if rest else 0), indent=1))


def _read_sound(name: str) -> None:
    """Reads the last sound file."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / READERS[name].name
        path.write_bytes(READERS[name].seeds()[-1])
        READERS[name].read(path)


if __name__ == "__main__":
    main()
