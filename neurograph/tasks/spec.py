"""Parses a task's name: `NAME[:NxN][:CLASSES]`, as in `mnist:10x10:0-4`."""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from .._text import nearest
from .errors import TaskError

_SIZE = re.compile(r"\d*\s*[xX×]\s*\d*")


class Spec(NamedTuple):
    """Holds the parts of a task's name; None where left out."""

    name: str
    size: str | None = None
    classes: str | None = None


def parse(spec: str) -> Spec:
    """Parses a task's name.

    Raises:
        TaskError: there are too many, or they stand in another order.

    >>> parse("Fashion-MNIST:14x14:0-4,7")
    Spec(name='fashion_mnist', size='14x14', classes='0-4,7')
    """
    name, *parts = (part.strip() for part in spec.split(":"))
    name = name.lower().replace("-", "_").replace(" ", "_")
    size = parts.pop(0) if parts and _SIZE.fullmatch(parts[0]) and any(c.isdigit() for c in parts[0]) else None
    classes = parts.pop(0) if parts else None
    if parts or classes == "":
        raise TaskError(f"task '{spec}' is not of the form NAME[:NxN][:CLASSES], as in 'mnist:10x10:0-4'.")
    return Spec(name, size, classes)


def side(task: str, wanted: Any, default: int, largest: int) -> int:
    """Gives the number of rows and columns of the images.

    Args:
        task: what messages call it.
        wanted: such as `10x10` or 10; None for the default.
        default: rows and columns where no size is given.
        largest: the size that the images are stored in.

    Raises:
        TaskError: it is not a size, not square, or larger than the stored images.
    """
    if wanted is None:
        return default
    if isinstance(wanted, int) and not isinstance(wanted, bool):
        wanted = f"{wanted}x{wanted}"
    numbers = [part.strip() for part in re.split("[xX×]", wanted)] if isinstance(wanted, str) else []
    if len(numbers) != 2 or not all(re.fullmatch(r"[0-9]{1,9}", number) for number in numbers):
        raise TaskError(f"task '{task}': '{wanted}' is not an image size; give one such as {default}x{default}.")
    rows, columns = map(int, numbers)
    nearest_side = min(max(rows, 1), largest)
    if rows != columns:
        raise TaskError(
            f"task '{task}': images are square, and cannot be {rows}x{columns}; did you mean "
            f"{nearest_side}x{nearest_side}?"
        )
    if rows != nearest_side:
        raise TaskError(
            f"task '{task}': images cannot be {rows}x{columns}; they are stored as {largest}x{largest}, and any size "
            f"from 1x1 to that can be made. The nearest is {nearest_side}x{nearest_side}."
        )
    return rows


def positions(task: str, wanted: Any, class_names: Sequence[str], first_label: int | None = None) -> tuple[int, ...]:
    """Gives the chosen classes as ascending positions among the class names.

    Args:
        task: what messages call it.
        wanted: a comma list of names and ranges of names, a list, or a single integer; None for all classes.
        class_names: the names of all classes, in order.
        first_label: the number that stands for the first class where a name may be given by number, too.

    Raises:
        TaskError: an unknown class (the nearest is named), one that is named twice, a range that runs backwards, or
            fewer than two classes.

    >>> positions("letters", "A-C,z", tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
    (0, 1, 2, 25)
    """
    if wanted is None:
        return tuple(range(len(class_names)))
    if isinstance(wanted, str):
        items = [item.strip() for item in wanted.split(",")] if wanted.strip() else []
    else:
        items = [str(item) for item in (wanted if isinstance(wanted, list | tuple) else [wanted])]
    chosen: list[int] = []
    for item in items:
        for position in _range(task, item, class_names, first_label):
            if position in chosen:
                raise TaskError(f"task '{task}': class '{class_names[position]}' is named twice; name it once.")
            chosen.append(position)
    if len(chosen) < 2:
        found = f"only class '{class_names[chosen[0]]}' is named" if chosen else "no class is named"
        example = f"{class_names[0]}-{class_names[1]}"
        raise TaskError(f"task '{task}': {found}; two or more are needed, such as {example}.")
    return tuple(sorted(chosen))


def written(class_names: Sequence[str], chosen: Sequence[int]) -> str:
    """Writes classes as a comma list with ranges, the shortest that `positions` reads as these.

    >>> written("0123456789", (0, 1, 2, 7))
    '0-2,7'
    """
    runs: list[list[int]] = []
    for position in chosen:
        if runs and runs[-1][-1] == position - 1:
            runs[-1].append(position)
        else:
            runs.append([position])
    return ",".join(
        f"{class_names[run[0]]}-{class_names[run[-1]]}" if len(run) > 2 else ",".join(class_names[i] for i in run)
        for run in runs
    )


def _range(task: str, item: str, class_names: Sequence[str], first_label: int | None) -> range:
    """Gives the positions that a name, or a range of names, stands for."""
    single = _position(item, class_names, first_label)
    if single is not None:
        return range(single, single + 1)
    for match in re.finditer("-", item):
        ends = item[: match.start()].strip(), item[match.end() :].strip()
        first, last = (_position(end, class_names, first_label) for end in ends)
        if first is not None and last is not None:
            if first > last:
                raise TaskError(f"task '{task}': the classes {item} run backwards; write {ends[1]}-{ends[0]}.")
            return range(first, last + 1)
    unknown = next((end for end in item.split("-") if _position(end.strip(), class_names, first_label) is None), item)
    if unknown.strip().isdigit() and class_names[-1].isdigit():
        fix = f"the nearest is '{class_names[-1]}'."
    else:
        fix = nearest(unknown, class_names, f"its classes are {written(class_names, range(len(class_names)))}.")
    raise TaskError(f"task '{task}': there is no class '{unknown.strip()}'; {fix}")


def _position(name: str, class_names: Sequence[str], first_label: int | None) -> int | None:
    """Finds a class by its name, by its name in another letter case where only one class has it, or by its number."""
    if name in class_names:
        return class_names.index(name)
    alike = [i for i, own in enumerate(class_names) if own.lower() == name.lower()]
    if len(alike) == 1:
        return alike[0]
    if first_label is not None and re.fullmatch(r"[0-9]{1,9}", name):
        position = int(name) - first_label
        return position if 0 <= position < len(class_names) else None
    return None
