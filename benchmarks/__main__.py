"""`python -m benchmarks [case ...]`: neurograph against its peers, warm, in turns; a table with ratios and targets.

Exit codes: 0 done; 1 a regression (`--check`), or a case that failed; 2 wrong arguments.
"""

import argparse
import gc
import json
import math
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path

import jax

from . import _report
from ._contest import Settings
from ._processes import keep_memory
from ._rows import Row
from .cases import CASES, FAST, FAST_ON_A_GPU, growth

AGAIN = 2
"""How often a case that seems worse than what is committed is measured once more."""
QUICK_SHARE = 0.05
"""Roughly the time that `--quick` takes, as a share of the full run's."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the suite; see the module's docstring."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    options = _options(arguments)
    names = options.case or (_fast() if options.fast else list(CASES))
    found, failed = _measured(names, options)
    rows = _together(found)
    facts = _report.about(options.seed, arguments)

    print("\n".join(f"{name}: {value}" for name, value in facts.items()))
    print(f"\n{_report.table(rows)}\n\n{_report.summary(rows)}")
    if options.json:
        options.json.write_text(_report.raw(rows, facts))
    if failed:
        print(f"failed: {', '.join(failed)}; see above for the reasons.", file=sys.stderr)
        return 1
    if options.check and not _unchanged(found, options):
        return 1
    if options.write:
        _write(rows, facts)
    return 0


def _fast() -> tuple[str, ...]:
    """What `--fast` runs; on a GPU also what is bound by the start of kernels."""
    return FAST if jax.default_backend() == "cpu" else FAST_ON_A_GPU


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("case", nargs="*", help=f"which cases to run; all by default: {', '.join(CASES)}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all measurements to FILE")
    parser.add_argument("--check", action="store_true", help="compare with the committed ratios; exit 1 if worse")
    parser.add_argument("--write", action="store_true", help="rewrite the committed results of this device")
    parser.add_argument("--quick", action="store_true", help="small sizes, few repeats: does everything run?")
    parser.add_argument("--fast", action="store_true", help="full sizes, few repeats, the main ratios only: 3 minutes")
    parser.add_argument("--minutes", type=float, default=math.inf, help="begin no case after so many minutes")
    parser.add_argument("--seed", type=int, default=0, help="of wirings, synapses and data")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.case if name not in CASES]
    if unknown:
        parser.error(f"there is no case {unknown[0]!r}; there are {', '.join(CASES)}.")
    if options.quick and (options.check or options.write):
        parser.error("--quick measures other sizes than the committed results; leave it out with --check and --write.")
    if options.fast and (options.quick or (options.write and jax.default_backend() == "cpu")):
        parser.error("--fast measures less than --write commits, and other sizes than --quick; give one of them.")
    if options.write and options.case:
        parser.error("--write rewrites the whole document; leave out the names of cases.")
    if options.check and not _committed().exists():
        parser.error(f"--check needs committed results of this device, and {_committed()} is not there; run --write.")
    return options


def _measured(names: Sequence[str], options: argparse.Namespace) -> tuple[dict[str, list[Row]], list[str]]:
    """The rows of each case, and the names of those that failed."""
    rows: dict[str, list[Row]] = {}
    failed: list[str] = []
    started = time.monotonic()
    for number, name in enumerate(names):
        left = sum(CASES[later].seconds for later in names[number:])
        if time.monotonic() - started > 60 * options.minutes:
            print(f"{name} is left out: {options.minutes:g} minutes are over.", file=sys.stderr)
            continue
        done = sum(CASES[earlier].seconds for earlier in names[:number])
        begun = time.monotonic() - started
        estimate = left * begun / done if done else left * (QUICK_SHARE if options.quick else 1)

        def say(what: str, name: str = name, number: int = number, end: float = begun + estimate) -> None:
            elapsed = time.monotonic() - started
            clock = f"{elapsed:.0f} s, about {max(end - elapsed, 0):.0f} s left"
            print(f"[{number + 1}/{len(names)}] {name}: {what} ({clock})", file=sys.stderr, flush=True)

        say("preparing")
        try:
            found = CASES[name].run(Settings(options.quick, options.seed, say, options.fast))
            # the targets are for the full sizes
            rows[name] = [row._replace(bound=None) for row in found] if options.quick else found
        except Exception:
            traceback.print_exc()
            failed.append(name)
        jax.clear_caches()
        gc.collect()
    return rows, failed


def _committed() -> Path:
    return _report.RESULTS / f"{_report.device()}.json"


def _together(found: Mapping[str, Sequence[Row]]) -> list[Row]:
    return [row for rows in found.values() for row in rows]


def _unchanged(found: Mapping[str, Sequence[Row]], options: argparse.Namespace) -> bool:
    """Whether nothing is worse each time that it is measured: other work on the machine slows one run, a loss all."""
    committed = json.loads(_committed().read_text())
    worse = _report.regressions(_together(found), committed)
    for _ in range(AGAIN):
        names = [name for name, rows in found.items() if any(row.key in worse for row in rows)]
        if not names:
            break
        print(f"measuring again what seems worse: {', '.join(names)}", file=sys.stderr, flush=True)
        again, failed = _measured(names, options)
        if failed:
            break
        still = _report.regressions(_together(again), committed)
        worse = {key: still[key] for key in worse if key in still}
    for sentence in worse.values():
        print(f"regression: {sentence}", file=sys.stderr)
    return not worse


def _write(rows: list[Row], facts: dict) -> None:
    _report.RESULTS.mkdir(exist_ok=True)
    path = _committed()
    path.write_text(_report.figures(rows, facts))
    path.with_suffix(".md").write_text(_report.markdown(rows, facts))
    if any(row.case == growth.CASE for row in rows):
        growth.plot(rows, _report.RESULTS / "growth.png")
    print(f"wrote {path} and what belongs to it", file=sys.stderr)


if __name__ == "__main__":
    keep_memory()
    # else a program that an earlier run compiled would seem to compile in no time
    jax.config.update("jax_enable_compilation_cache", False)
    sys.exit(main())
