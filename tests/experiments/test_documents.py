"""The files of experiments: all that come with the package, and what is wrong with others."""

import pathlib
import re

import pytest

from neurograph import experiments
from neurograph._text import UserError
from neurograph.experiments import documents
from neurograph.experiments.reproduction import check_cells

FILE = pathlib.Path(__file__).parents[2] / "experiments"
BAND = "{at_least: 1}"
TEXT = """\
title: A title
figure: new
question: A question?
module: gradient_descent
scales:
  tiny: {minutes: 1, settings: {}}
  small: {minutes: 1, settings: {}}
  full: {minutes: 1, settings: {hidden: 4}}
claims:
  - {name: a, claim: A., where: new, judged: a, holds: {at_least: 1}}
"""


def test_every_file_is_listed():
    figures = {f"fig{n}" for n in (*range(2, 11), *range(12, 18))}
    assert set(experiments.names()) == figures | {"carrying", "episodes", "rules", "universal", "wiring"}
    assert {path.stem for path in FILE.iterdir()} == {*experiments.names()}


@pytest.mark.parametrize("name", experiments.names())
@pytest.mark.parametrize("scale", experiments.SCALES)
def test_cells_of_every_scale_have_files_of_their_own_and_searches_come_first(name, scale, tmp_path):
    experiment = experiments.load(name)
    made = experiments.Reproduction(experiment, scale, 0, None, "", tmp_path)
    assert made.cells
    check_cells(made)
    assert experiments.share_done(made) == 0


@pytest.mark.parametrize("name", experiments.names())
def test_of_nothing_nothing_is_judged(name):
    """Each claim has a measure, and none has a verdict before anything was measured."""
    experiment = experiments.load(name)
    measures = experiment.module.measures(experiment.at("tiny").settings, {})
    assert {claim.name for claim in experiment.file.claims} <= measures.keys()
    assert set(measures.values()) == {None}
    judged = experiments.judge(experiment.file.claims, measures)
    assert {one.verdict for one in judged} == {"not judged"}


@pytest.mark.parametrize("name", experiments.names())
def test_the_figure_of_a_scale_with_many_panels_is_drawn_before_anything_is_found(name):
    experiment = experiments.load(name)
    figure = experiment.module.draw(experiment.at("small").settings, {})
    assert figure.get_axes() or figure.subfigs


def test_numbers_in_names_are_in_order(monkeypatch):
    monkeypatch.setattr(documents, "_files", lambda: dict.fromkeys(["fig10", "figs", "fig9", "fig9b", "new"]))
    assert experiments.names() == ["fig9", "fig10", "fig9b", "figs", "new"]


def test_a_file_of_ones_own(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(TEXT)
    found = experiments.load(path)
    assert (found.name, found.at("full").settings.hidden) == ("mine", 4)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("title: A title", "titel: x", "mine.yaml:1:1: titel: unknown key 'titel'; did you mean 'title'"),
        ("hidden: 4", "hidden: none", "mine.yaml:8:.*scales.full.settings.hidden: 'none' is not a whole number"),
        ("hidden: 4", "hiden: 4", "unknown key 'hiden'; did you mean 'hidden'"),
        ("module: gradient_descent", "module: gradient_decent", "no module 'gradient_decent' for it; did you mean"),
        ("module: gradient_descent\n", "", "no module 'mine' for it"),
        ("{at_least: 1}", "{}", "a range has an end; give at_least, at_most, or both"),
        ("  tiny: {minutes: 1, settings: {}}\n", "", "the key 'tiny' is missing"),
        ("claims:\n", "claims:\n  - {name: a, claim: B., where: x, judged: b, holds: {at_most: 1}}\n", "comes twice"),
        (TEXT, "[1]", "is not a mapping of keys to values"),
        (TEXT, "title: [", "this is not valid YAML"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_place(tmp_path, old, new, words):
    assert old in TEXT
    path = tmp_path / "mine.yaml"
    path.write_text(TEXT.replace(old, new))
    with pytest.raises(UserError, match=words):
        experiments.load(path)


def test_the_example_of_the_documents_is_an_experiment(tmp_path):
    text = (FILE.parent / "docs" / "how_to" / "add_an_experiment.md").read_text(encoding="utf-8")
    path = tmp_path / "mine.yaml"
    path.write_text(re.findall(r"^```yaml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)[0])
    found = experiments.load(path)
    assert found.at("small").settings.rates == [0.01, 0.1, 1]
    assert [claim.name for claim in found.file.claims] == ["ahead_early"]


def test_an_unknown_name_has_a_near_one():
    with pytest.raises(UserError, match="there is no experiment 'fig22'; did you mean 'fig2'"):
        experiments.load("fig22")
    with pytest.raises(UserError, match="there is no scale 'smal'; did you mean 'small'"):
        experiments.scale_of("smal")


def test_a_file_that_is_missing_is_no_misspelt_name():
    with pytest.raises(UserError, match=r"there is no file 'nothere.yaml'"):
        experiments.load("nothere.yaml")
