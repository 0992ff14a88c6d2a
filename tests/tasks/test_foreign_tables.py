"""Tables of examples as spreadsheets and data frames write them: nothing leaks, nothing is merged or dropped."""

import pathlib
import warnings

import numpy as np
import pytest

from neurograph import tasks

CASES = pathlib.Path(__file__).parents[1] / "data" / "foreign" / "tasks"


def of_text(folder: pathlib.Path, text: str, name: str = "data.csv", **options) -> tasks.Task:
    path = folder / name
    path.write_text(text, newline="")
    return tasks.load(str(path), standardise=False, **options)


def features(task: tasks.Task) -> list:
    """The features of all examples, sorted."""
    return sorted(np.concatenate([task.support_source.x, task.test.x]).tolist())


@pytest.mark.parametrize("name", ["excel_sep_line", "trailing_commas", "index_column", "unnamed_column"])
def test_they_are_read_as_their_makers_mean_them(name):
    path = str(CASES / f"{name}.csv")
    if "column" in name:
        with pytest.warns(
            tasks.TaskWarning, match=f"{name}.csv', line 1: the first column has no name, so it is left out as an index"
        ):
            task = tasks.load(path)
    else:
        task = tasks.load(path)
    assert features(task) == features(tasks.load(str(CASES / "comment_lines.csv")))


DIALECTS = {
    "semicolons, decimal commas": "a;b;label\n" + "0,5;1;x\n1,5;2;y\n" * 3,
    "spaces": "a b label\n" + "0.5 1 x\n1.5   2 y\n" * 3,
    "tabs, CR": "a\tb\tlabel\r" + "0,5\t1\tx\r1,5\t2\ty\r" * 3,
    "comments, trailing commas": "# x\na,b,label\n" + "0.5,1,x,\n#\n1.5,2,y,,\n" * 3,
    "names of rows, as R writes them": "a b label\n" + "1 0.5 1 x\n2 1.5 2 y\n" * 3,
    "numbers above words": "0,1,target\n" + "0.5,1,x\n1.5,2,y\n" * 3,
    "numbers above numbers": "0,1,2\n" + "0.5,1,7\n1.5,2,8\n" * 3,
}


@pytest.mark.parametrize("text", DIALECTS.values(), ids=DIALECTS)
def test_tables_have_any_dialect(tmp_path, text):
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always", tasks.TaskWarning)
        assert features(of_text(tmp_path, text, "data.tsv")) == [[0.5, 1]] * 3 + [[1.5, 2]] * 3


def test_a_header_of_numbers_is_told_and_can_be_denied(tmp_path):
    text = "0,1,2\n" + "0.5,1,7\n1.5,2,8\n2.5,3,2\n" * 3
    with pytest.warns(tasks.TaskWarning, match="line 1: it numbers the columns from 0, so it is taken for their names"):
        assert len(features(of_text(tmp_path, text))) == 9
    assert len(features(of_text(tmp_path, text, header=False))) == 10
    with pytest.raises(tasks.TaskError, match="line 2: feature 'a' is 'b'"):
        of_text(tmp_path, "a,a,label\nb,1,2\n", header=True)


def test_a_first_example_is_no_header(tmp_path):
    assert len(features(of_text(tmp_path, "1,2,x\n" + "3,4,x\n5,6,y\n" * 2))) == 5
    assert len(features(of_text(tmp_path, "0,1\n" + "2,1\n5,0\n" * 2))) == 5


def test_columns_are_left_out_by_name(tmp_path):
    text = "id,a,label\n" + "".join(f"{i},{i % 3}.5,{i % 2}\n" for i in range(8))
    with pytest.warns(
        tasks.TaskWarning, match="the column 'id' numbers the examples; if it is not a feature, give leave_out='id'"
    ):
        assert of_text(tmp_path, text).n_inputs == 2
    assert of_text(tmp_path, text, leave_out="id").n_inputs == 1
    for names, sentence in [("ids", "did you mean 'id'"), (["label"], "is both left out and a label")]:
        with pytest.raises(tasks.TaskError, match=sentence):
            of_text(tmp_path, text, leave_out=names)
    with pytest.raises(tasks.TaskError, match="has no features: all columns are labels or left out"):
        of_text(tmp_path, text, leave_out=["id", "a"])
    with pytest.raises(tasks.TaskError, match="has 2 columns 'a'; give each a name of its own"):
        of_text(tmp_path, "a,a,label\n1,2,3\n", leave_out="a")


def test_labels_with_leading_zeros_are_text(tmp_path):
    text = "a,label\n" + "1,07\n2,7\n3,008\n" * 3
    assert of_text(tmp_path, text).class_names == ("008", "07", "7")
    assert of_text(tmp_path, text, kind="regression").is_regression
    assert of_text(tmp_path, "a,label\n" + "1,0\n2,7.0\n3,7\n" * 2).class_names == ("0", "7")


@pytest.mark.parametrize(
    ("text", "sentence"),
    {
        "a;b;label\n0,5;1;x\n1.5;2;y\n": "line 3: the number is '1.5', but '0,5' in line 2",
        "a,b,label\n1_000,1,x\n": "line 2: feature 'a' is '1_000'",
        "a,b,label\n1,1,x\n1,1,x,9\n": "line 3: it has 4 cells, but line 1 has 3",
        "a,b,\n1,1,x\n": "line 2: it has 3 cells, but line 1 has 2",
    }.items(),
)
def test_what_may_mean_two_things_is_refused(tmp_path, text, sentence):
    with pytest.raises(tasks.TaskError, match=sentence):
        of_text(tmp_path, text)
