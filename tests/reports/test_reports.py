"""Reports: one file that loads nothing, says what the folder says, and shows any text as it is."""

import base64
import html.parser
import io
import json
import pathlib
import shutil
import struct

import pytest
import yaml

from neurograph import reports, topology
from neurograph.reports.page import Code, Facts, Grid, Page, Section, Text, render
from tests.support.command_line import Run, assert_complains

HOSTILE = '<script>alert("x")</script> & <b>'


class Read(html.parser.HTMLParser):
    """What a browser would load and show."""

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[str] = []
        self.loaded: list[str] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open, f"{self._open} are left open"

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.loaded += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data", "action")]
        if tag not in ("meta", "img"):
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.text += data

    @property
    def pictures(self) -> list[bytes]:
        return [base64.b64decode(source.partition(",")[2]) for source in self.loaded]


def assert_loads_nothing(page: Read) -> None:
    assert all(source.startswith("data:image/png;base64,") for source in page.loaded)
    assert not {"script", "link", "iframe", "object", "embed"} & set(page.tags)
    assert all(png[:8] == b"\x89PNG\r\n\x1a\n" for png in page.pictures)


def test_text_of_any_kind_is_shown_and_never_read_as_html():
    blocks = [Text(HOSTILE), Code(HOSTILE), Facts([(HOSTILE, HOSTILE)]), Grid([HOSTILE], [[HOSTILE]])]
    page = Read(render(Page(HOSTILE, [HOSTILE], [Section(HOSTILE, blocks)])))
    assert page.text.count(HOSTILE) == 10
    assert "script" not in page.tags
    assert "b" not in page.tags


def test_training_leaves_a_report(run: Run):
    outcome = run("train", "xor", "--steps", 40, "--seed", 3, "--out", "a <b> & 'c'")
    folder = pathlib.Path("a <b> & 'c'")
    assert f"report: {folder / 'report.html'}" in outcome.out
    page = Read((folder / "report.html").read_text(encoding="utf-8"))
    assert_loads_nothing(page)
    assert len(page.pictures) == 3, "curves, wiring and rule"
    summary = json.loads((folder / "summary.json").read_text())
    assert f"{summary['test_accuracy']:.4f} ± {summary['test_accuracy_standard_error']:.4f}" in page.text
    settings = yaml.safe_load((folder / "config.yaml").read_text())["train"]
    shown = page.text[page.text.index("Settings") : page.text.index("Provenance")]
    assert yaml.safe_load(shown.removeprefix("Settings")) == settings
    assert "neurograph train --resume 'a <b> & '\"'\"'c'\"'\"''" in page.text
    versions = json.loads((folder / "environment.jsonl").read_text().splitlines()[0])
    assert all(
        f"{name}{value}" in page.text.replace("\n", "")
        for name, value in versions.items()
        if name not in ("step", "crc32") and value
    )
    assert str(pathlib.Path.cwd()) not in page.text, "it can be given to others"


def test_a_report_is_written_anew_and_tells_of_an_interrupt(run: Run):
    run("train", "xor", "--steps", 40, "--out", "r")
    before = pathlib.Path("r/report.html").read_bytes()
    pathlib.Path("r/report.html").unlink()
    assert run("report", "r").out == "r/report.html\n"
    assert pathlib.Path("r/report.html").read_bytes() == before
    summary = json.loads(pathlib.Path("r/summary.json").read_text())
    pathlib.Path("r/summary.json").write_text(json.dumps({**summary, "steps": 30, "finished": False}))
    assert run("report", "r", "-o", "other.html").out == "other.html\n"
    assert "Training was interrupted before its last step." in pathlib.Path("other.html").read_text()
    pathlib.Path("r/summary.json").unlink()
    run("report", "r")
    assert "Training has reached step 40 and has no result yet." in pathlib.Path("r/report.html").read_text()


def test_what_is_wrong_with_a_folder_is_a_sentence(run: Run):
    assert_complains(run("report", "nowhere"), "nowhere")
    run("train", "xor", "--steps", 4, "--out", "r")
    good = pathlib.Path("r/summary.json").read_text()
    for damaged in ("{", "[1]", '{"x": 1}', good.replace('"steps": 4', '"steps": "four"'), "\0", "5"):
        pathlib.Path("r/summary.json").write_text(damaged)
        assert_complains(run("report", "r"), "'r/summary.json' is damaged", "resume the run")
    pathlib.Path("r/summary.json").unlink()
    assert_complains(run("report", "r", "-o", "no/where.html"), "--output is 'no/where.html'", code=2)
    assert_complains(run("report", "r", "-o", "r.pdf"), "its name must end in .html", code=2)


def test_a_report_that_cannot_be_written_does_not_fail_the_run(run: Run, monkeypatch):
    from neurograph._text import UserError

    def refuse(*_):
        raise UserError("report 'r/report.html' cannot be written: No space left on device.")

    monkeypatch.setattr(reports, "write", refuse)
    outcome = run("train", "xor", "--steps", 4, "--out", "r")
    assert outcome.code == 0
    assert "No space left on device" in outcome.err
    assert pathlib.Path("r/summary.json").exists()


@pytest.mark.ci
def test_meta_learning_leaves_a_report(run: Run):
    few = ("--task", "xor", "--states", 2, "--genomes", 2, "--unroll", 2, "--batch-size", 8, "--set", "query_size=8")
    run("meta-train", "mlp:2-3-1", *few, "--meta-steps", 3, "--out", "m")
    page = Read(pathlib.Path("m/report.html").read_text(encoding="utf-8"))
    assert_loads_nothing(page)
    assert len(page.pictures) == 3
    found = json.loads(pathlib.Path("m/summary.json").read_text())
    assert f"an accuracy of {found['accuracy']:.3f} and a loss of {found['loss']:.3f} after 2 learning" in page.text
    assert "neurograph compare TOPOLOGY --genome m" in page.text
    assert pathlib.Path("m/genome.txt").read_text() in page.text


@pytest.mark.ci
def test_a_comparison_leaves_a_report_where_it_is_told_to(run: Run):
    few = ("--task", "xor", "--batch-size", 8, "--steps", 3, "--draws", 2, "--baselines", "adam")
    command = ("compare", "xor", "--rule", "feedback_alignment", *few)
    outcome = run(*command, "--report", "c.html", "--json")
    found = json.loads(outcome.out)
    page = Read(pathlib.Path("c.html").read_text(encoding="utf-8"))
    assert_loads_nothing(page)
    assert len(page.pictures) == 2
    for learner in found["learners"]:
        assert learner["name"] in page.text
        for point in learner["curve"]:
            assert f"{point['accuracy']['mean']:.3f} ± {point['accuracy']['half']:.3f}" in page.text
        for rate in learner["rates"][1:]:  # before learning there is none
            assert f"{rate:g}" in page.text
    assert_complains(run(*command, "--report", "c.txt"), "--report is 'c.txt'", ".html", code=2)
    assert_complains(run(*command, "--report", "no/c.html"), "--report is 'no/c.html'", code=2)


def test_a_rule_of_single_numbers_is_not_drawn(run: Run):
    run("train", "xor", "--steps", 4, "--rule", "kolen_pollack", "--out", "r")
    page = Read(pathlib.Path("r/report.html").read_text(encoding="utf-8"))
    assert len(page.pictures) == 2, "curves and wiring"
    assert "decay: 0.001" in page.text


def test_a_wide_picture_has_no_more_pixels_than_a_page_shows():
    from neurograph.plotting.figures import as_png, new_figure

    for width in (4, 40):
        figure, _ = new_figure(width, 2)
        header = io.BytesIO(as_png(figure)[16:24]).read()
        assert struct.unpack(">II", header)[0] == min(width * 160, 1300)


def test_a_class_that_is_not_known_is_told_in_the_report(run: Run):
    run("train", "xor", "--steps", 4, "--out", "r")
    text = pathlib.Path("r/genome.txt").read_text()
    shutil.copy("r/genome.txt", "kept.txt")
    pathlib.Path("r/genome.txt").write_text(text.replace("class: blur", "class: nobodys"))
    run("report", "r")
    assert "nobodys" in pathlib.Path("r/report.html").read_text()


def test_a_wiring_of_its_own_name_is_drawn(tmp_path: pathlib.Path):
    wiring = topology.generators.mlp([2, 3, 1])
    _, facts = reports.run.wiring_blocks(wiring)
    assert isinstance(facts, Facts)
    assert dict(facts.rows)["synapses"] == f"{wiring.n_synapses}"
