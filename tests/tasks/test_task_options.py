"""Options of tasks are checked by the annotations of the functions that make them, wherever they come from."""

import inspect
import pathlib
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal

import jax.numpy as jnp
import numpy as np
import pytest

from neurograph import tasks
from neurograph.runs.resolve import resolve_task
from neurograph.runs.settings import parse_assignments, train_config
from neurograph.tasks import TaskError
from neurograph.tasks.loading import LOADERS, READERS
from neurograph.tasks.options import OF_LOAD, check_value, checked
from neurograph.topology import files

WRONG = [
    ("csv", {"split_seed": "abc"}, "the option split_seed is 'abc'; it must be a whole number."),
    ("csv", {"split_seed": 1.5}, "the option split_seed is 1.5; it must be a whole number."),
    ("csv", {"split_seed": True}, "the option split_seed is True; it must be a whole number."),
    ("csv", {"split_seed": "1_000"}, "the option split_seed is '1_000'; it must be a whole number: write 1000."),
    ("csv", {"split_seed": 2**63}, "the option split_seed is 9223372036854775808; it must be less than 2^63."),
    ("csv", {"split_seed": -1}, "split_seed is -1; it must be a whole number, 0 or more."),
    ("csv", {"query_fraction": "abc"}, "the option query_fraction is 'abc'; it must be a number."),
    ("csv", {"query_fraction": True}, "the option query_fraction is True; it must be a number."),
    ("csv", {"label": 3}, "the option label is 3; it must be text, a list of texts or null: put it in quotes."),
    ("csv", {"label": [3]}, "the option label is [3]; it must be text, a list of texts or null."),
    ("csv", {"standardise": [1]}, "the option standardise is [1]; it must be true or false."),
    ("csv", {"standardise": "maybe"}, "the option standardise is 'maybe'; it must be true or false."),
    ("csv", {"standardise": None}, "the option standardise is None; it must be true or false."),
    ("csv", {"kind": ["a"]}, "the option kind is ['a']; it must be text."),
    ("csv", {"n_outputs": "two"}, "the option n_outputs is 'two'; it must be a whole number or null."),
    ("csv", {"seed": "abc"}, "the option seed is 'abc'; it must be a whole number."),
    ("csv", {"dtype": "int32"}, "dtype is 'int32'; it must be a floating-point type, such as float32."),
    ("csv", {"dtype": "abc"}, "dtype is 'abc'; it must be a floating-point type, such as float32."),
    ("csv", {"loss": 3}, "the option loss is 3; it must be a function, text or null: put it in quotes."),
    ("csv", {"targets": 3}, "the option targets is 3; it must be text or null: put it in quotes."),
    ("csv", {"zzz": 3}, "there is no option 'zzz'; choose one of "),
    ("xor", {"query_size": "abc"}, "task 'xor': the option query_size is 'abc'; it must be a whole number."),
    ("xor", {"query_size": None}, "the option query_size is None; it must be a whole number."),
    ("xor", {"query_size": 10**12}, "query_size is 1,000,000,000,000, more than can be counted; give a smaller one."),
    ("sine", {"noise": "loud"}, "the option noise is 'loud'; it must be a number."),
    (
        "sine",
        {"noise": 1e300},
        "the option noise is 1e+300, but float32 holds only numbers up to 3.4e+38; give a smaller",
    ),
    ("mnist", {"data_dir": 3}, "the option data_dir is 3; it must be text, a path or null: put it in quotes."),
    ("omniglot", {"split": 3}, "the option split is 3; it must be text: put it in quotes."),
    ("omniglot", {"n_characters": "five"}, "the option n_characters is 'five'; it must be a whole number"),
]


@pytest.fixture
def folder(tmp_path, monkeypatch) -> pathlib.Path:
    rows = "".join(f"{i / 10},{i * 7 % 5},{i % 2}\n" for i in range(40))
    (tmp_path / "data.csv").write_text("a,b,label\n" + rows)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def spelled(value: Any) -> str:
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else f"{value!r}"


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(("name", "options", "sentence"), WRONG)
def test_what_is_wrong_with_an_option_is_said(name, options, sentence):
    with pytest.raises(TaskError) as caught:
        tasks.load("data.csv" if name == "csv" else name, **options)
    assert str(caught.value).startswith("task '")
    assert sentence in str(caught.value)


@pytest.mark.parametrize("row", [0, 6, 8, 10, 17, 21, 23, 26])
def test_a_file_and_the_command_line_say_the_same(folder, row):
    name, options, sentence = WRONG[row]
    task = "data.csv" if name == "csv" else name
    text = ", ".join(f"{key}: {spelled(value)}" for key, value in options.items())
    wiring = "generator: {kind: mlp, sizes: [2, 3, 2]}\n"
    (folder / "file.yaml").write_text(f"{wiring}train: {{task: {task}, task_options: {{{text}}}}}\n")
    (folder / "plain.yaml").write_text(f"{wiring}train: {{task: {task}}}\n")
    given = parse_assignments(f"task_options.{key}={spelled(value)}" for key, value in options.items())
    for config, _ in (train_config("file.yaml"), train_config("plain.yaml", given)):
        with pytest.raises(TaskError) as caught:
            resolve_task(config, files.load("plain.yaml"))
        assert sentence in str(caught.value)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("name", ["key", "spec"])
def test_a_file_cannot_give_what_is_no_option(name):
    config, _ = train_config("mlp:2-3-1", section={"task": "xor", "task_options": {name: 3}})
    with pytest.raises(TaskError, match=f"^task 'xor': there is no option '{name}'; leave it out\\.$"):
        resolve_task(config, files.load("mlp:2-3-1"))


@pytest.mark.usefixtures("folder")
def test_values_of_the_types_are_taken():
    plain = tasks.load("data.csv", split_seed=1000, query_fraction=0.5)
    other = tasks.load(
        "data.csv", split_seed=1e3, query_fraction=np.float32(0.5), label=["label"], kind="classification"
    )
    np.testing.assert_array_equal(plain.test.x, other.test.x)
    options: dict[str, Any] = {"query_size": np.int64(7), "n_outputs": 2.0, "seed": jnp.int32(3)}
    assert tasks.load("xor", **options).n_query == 7
    assert tasks.load("data.csv", standardise=np.bool_(False), dtype=np.float64).dtype == jnp.float64


@pytest.mark.parametrize("loader", [*LOADERS, *READERS])
def test_every_option_has_a_type(loader):
    """So that an option that is added is checked, too; sizes and classes have notations of their own."""
    function = {**LOADERS, **READERS}[loader]
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and parameter.name not in (*OF_LOAD, "size", "classes"):
            assert parameter.annotation not in (Any, inspect.Parameter.empty), parameter.name
            with pytest.raises(TaskError, match=f"the option {parameter.name} is "):
                checked("a", {parameter.name: object()}, function)


TYPES = [
    (int | None, [None, 3, 1e3, np.int32(3)], ["a", 1.5, True, [1]]),
    (bool | None, [True, None], [1, "yes"]),
    (Sequence[str], [["a"], ("a",), []], ["a", [1], None]),
    (tuple[int, ...] | None, [(1, 2), [1], None], [(1.5,), 1]),
    (list[float | None], [[1, 2.0, None]], [["a"], [True]]),
    (Literal["a", 1], ["a", 1], ["b", True, 1.5]),
    (Annotated[float, "any"], [1, 0.5], ["a", False]),
    (Callable[[int], int], [len], [3]),
    (Any, [len, None], []),
    ("str", [], []),
]


@pytest.mark.parametrize(("annotation", "right", "wrong"), TYPES, ids=str)
def test_types_of_every_kind(annotation, right, wrong):
    for value in right:
        assert check_value("a", "b", value, annotation) == value
    for value in wrong:
        with pytest.raises(TaskError, match="the option b is "):
            check_value("a", "b", value, annotation)


def test_annotations_may_be_text():
    def loader(*, size: "int" = 3) -> tasks.Task:
        raise AssertionError

    assert checked("a", {"size": 4.0}, loader) == {"size": 4}
    with pytest.raises(TaskError, match="the option size is 'x'; it must be a whole number"):
        checked("a", {"size": "x"}, loader)
