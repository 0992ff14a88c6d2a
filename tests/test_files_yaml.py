"""YAML is read within bounds, wherever the package reads any; mistakes that are hard to see are said plainly."""

import pathlib

import pytest
import yaml

from neurograph import rules
from neurograph._files import yaml as bounded
from neurograph._files.yaml import MOST_NESTED, MOST_REPEATED, OutOfBounds, complaint, compose, load, loaders
from neurograph.runs import RunError, read_config
from neurograph.runs.settings import parse_assignments
from neurograph.topology import files
from neurograph.topology.files import ConfigError

MLP = "generator: {kind: mlp, sizes: [2, 3, 1]}\n"
DOUBLINGS = 19
"""Were nothing counted, 2^20 values would be written into a message, which is done in a second."""


def doubled(first: str, again: str, prefix: str = "x-", n: int = DOUBLINGS) -> str:
    """Lines, each of which names the anchor of the one before it twice."""
    lines = [f"{prefix}0: &a0 {first}\n"]
    lines += [f"{prefix}{i}: &a{i} {again.format(f'*a{i - 1}')}\n" for i in range(1, n + 1)]
    return "".join(lines)


LISTS = doubled("[x, x]", "[{0}, {0}]")
KINDS = {
    "lists": (LISTS, f"*a{DOUBLINGS}"),
    "values": (doubled("{k: v, l: v}", "{{k: {0}, l: {0}}}"), f"*a{DOUBLINGS}"),
    "merged": (doubled("{k: v}", "{{<<: [{0}, {0}], l: v}}"), f"{{<<: *a{DOUBLINGS}}}"),
    "one line": ("", "[&b0 [x, x], " + ", ".join(f"&b{i} [*b{i - 1}, *b{i - 1}]" for i in range(1, 20)) + "]"),
}


@pytest.mark.parametrize("key", ["seed", "name", "labels", "inputs", "edges", "train"])
@pytest.mark.parametrize("kind", KINDS)
def test_aliases_that_stand_for_very_much_are_refused_where_they_come_to_it(kind, key):
    lines, alias = KINDS[kind]
    with pytest.raises(ConfigError) as caught:
        files.loads(f"{lines}{MLP}{key}: {alias}\n", "bomb.yaml")
    assert len(caught.value.problems) == 1
    place, _, sentence = caught.value.problems[0]
    assert "values to the" in sentence
    assert f"but may add at most {MOST_REPEATED:,}; write out what is meant." in sentence
    assert place.startswith("bomb.yaml:")
    assert len(sentence) < 200


def test_a_rule_file_a_run_and_an_assignment_have_the_same_bounds(tmp_path):
    bomb = doubled("[1, 1]", "[{0}, {0}]", "n")
    for key in ("neurograph_rule", "neurograph_genome", "rule"):
        with pytest.raises(
            rules.RuleError, match=r"^the text, line \d+, column \d+: up to here, aliases add .* values"
        ):
            rules.files.loads(f"{bomb}{key}: *a{DOUBLINGS}\n", "the text")
    (tmp_path / "config.yaml").write_text(f"{bomb}train: {{task: *a{DOUBLINGS}}}\n")
    with pytest.raises(RunError, match=r"config.yaml' is damaged in line \d+: up to here, aliases add"):
        read_config(tmp_path)
    with pytest.raises(ConfigError, match=r"^command line:1:\d+: up to here, aliases add"):
        parse_assignments(["steps=" + KINDS["one line"][1]])


def test_nesting_by_aliases_is_nesting():
    chain = "x-0: &a0 [x]\n" + "".join(f"x-{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 3000))
    with pytest.raises(ConfigError, match=rf"^f.yaml:{MOST_NESTED}:\d+: lists and mappings are nested more than 100"):
        files.loads(f"{chain}{MLP}seed: *a2999\n", "f.yaml")
    with pytest.raises(rules.RuleError, match=r"line 2, column \d+: lists and mappings are nested more than 100 deep"):
        rules.files.loads("neurograph_rule: 2\nrule: " + "[" * 5000)
    deep = "&a " + "[" * 50 + "x" + "]" * 50
    assert load(f"[{deep}, {'[' * 49}*a{']' * 49}]")[1] != []
    with pytest.raises(OutOfBounds, match="nested more than 100 deep"):
        load(f"[{deep}, {'[' * 50}*a{']' * 50}]")


def test_what_is_written_out_may_be_long_and_be_repeated_ten_times(monkeypatch):
    monkeypatch.setattr(bounded, "MOST_REPEATED", 100)
    wiring = f"x-a: &a [{', '.join(f'[{i}, {30 + j}]' for i in range(30) for j in range(15))}]\n"
    ends = "populations: [{name: a, role: input, size: 30}, {name: b, role: output, size: 15}]\n"
    others = "".join(f"x-{i}: *a\n" for i in range(8))
    assert files.loads(f"{wiring}{others}{ends}edges: *a\n").n_synapses == 450
    with pytest.raises(
        ConfigError, match=r"aliases add 14,850 values to the 1,\d+ that are written out, but may add at most 13,"
    ):
        files.loads(f"{wiring}{others}x-8: *a\nx-9: *a\n{ends}edges: *a\n")


@pytest.mark.slow
def test_an_edge_list_of_a_million_pairs_is_read():
    pairs = ",\n".join(f"[{i // 1000}, {i % 1000}]" for i in range(1_000_000))
    ends = "populations: [{name: a, role: input, size: 1000}, {name: b, role: output, size: 1000}]\n"
    text = f"{ends}projections: [{{from: a, to: b, rule: edges, pairs: [{pairs}]}}]\n"
    assert files.loads(text).n_synapses == 1_000_000


@pytest.mark.parametrize("text", ["a: &a [*a]", "&a {b: [1, {c: *a}]}", "&a {<<: *a}"])
def test_an_anchor_within_itself_is_told(text):
    column = text.index("*") + 1
    with pytest.raises(ConfigError, match=rf"^f.yaml:1:{column}: an anchor contains itself; remove the alias\.$"):
        files.loads(text, "f.yaml")
    with pytest.raises(OutOfBounds, match="an anchor contains itself"):
        load(text)


def test_plain_data_are_those_that_were_written():
    data = {
        "text": ["1e5", "1e-3", "2024-01-01", "0o17", "017", "1_000", "1:30", "yes", "~", "", "<<", "a\ud800b", "é\n"],
        "numbers": [0, -17, 10**30, 1.0, -1e-300, 1.5e300, float("inf")],
        "other": [True, False, None, {"a": {}}, []],
    }
    assert load(yaml.safe_dump(data, allow_unicode=True)) == data
    assert load("") is None
    assert load("a: 1e-3\nb: 2024-01-01\nc: 1:30\nd: 017\ne: 0x10\nf: 1_000") == {
        "a": "1e-3", "b": "2024-01-01", "c": "1:30", "d": "017", "e": "0x10", "f": "1_000",
    }  # fmt: skip
    assert load("a: &a {k: 1, l: 2}\nb: {<<: *a, l: 3}\nc: {<<: *a, l: 4}")["c"] == {"k": 1, "l": 4}


@pytest.mark.parametrize(
    ("text", "place", "sentence"),
    [
        ("a: 1\nb: {c: 1, c: 2}", (2, 11), "the key 'c' already appears in line 2; remove one of them."),
        ("a: 1\na: 2", (2, 1), "the key 'a' already appears in line 1"),
        ("? [a]\n: 1", (1, 3), "a key is a list or a mapping; it must be a word."),
        (f"a: {'1' * 5000}", (1, 4), "the whole number 111111111111 ... has 5,000 digits; at most 500 can be read"),
        ("a: x\0y", (1, 5), "the character U+0000 cannot be in a YAML file; remove it."),
        ("a: 1\nb: \ud800", (2, 4), "the character U+D800 cannot be in a YAML file; remove it."),
        ("a:\n\tb: 1", (2, 1), "a tab indents this line, but YAML allows only spaces; write spaces instead."),
        ("a:\n  -\tb: 1\n\tc: 2", (2, 4), "a tab indents this line"),
        ("a: “b: c”", (1, 6), "This line holds LEFT DOUBLE QUOTATION MARK (U+201C), RIGHT DOUBLE QUOTATION MARK"),
        ("a:\xa0b\nc: 1", (2, 2), "Line 1 holds NO-BREAK SPACE (U+00A0); leave it out, or write a plain character"),
        ("a: 1\n\u200bb\nc: 1", (3, 1), "Line 2 holds ZERO WIDTH SPACE (U+200B)"),
        ("a: !!float x", (1, 1), "a value does not fit the tag before it; remove the tag."),
        ("a: !!int x", (1, 1), "a value does not fit the tag"),
        ("a: !!bool x", (1, 1), "a value does not fit the tag"),
        ("a: [!!int [1]]", (1, 5), "the tag 'tag:yaml.org,2002:int' is unknown; remove it."),
        ("a: !!timestamp x", (1, 4), "the tag 'tag:yaml.org,2002:timestamp' is unknown; remove it."),
        (
            "!!python/name:os.system x: 1",
            (1, 1),
            "the tag 'tag:yaml.org,2002:python/name:os.system' is unknown; remove it.",
        ),
        ("a: !!set {b}", (1, 4), "the tag 'tag:yaml.org,2002:set' is unknown; remove it."),
        ("a: [1, }", (1, 8), "this is not valid YAML: "),
        ("a: *b", (1, 4), "this is not valid YAML: "),
    ],
)
def test_what_is_no_yaml_is_said_in_plain_words(text, place, sentence):
    with pytest.raises(yaml.YAMLError) as caught:
        load(text)
    found = complaint(caught.value, text)
    assert sentence in found.sentence
    assert (found.line, found.column) == place


@pytest.mark.parametrize("name", ["fast", "exact"])
def test_both_loaders_read_the_same(name):
    kind = getattr(loaders([("tag:yaml.org,2002:null", r"~|", "~\0")]), name)
    root = kind("a:\nb: ~\nc: 1\n").get_single_node()
    assert [value.tag.rpartition(":")[2] for _, value in root.value] == ["null", "null", "str"]


def test_yaml_is_read_in_one_place_alone():
    """Whatever reads it past `compose` and `load` has no bounds."""
    package = pathlib.Path(rules.__file__).parents[1]
    reading = ("yaml.safe_load", "yaml.load(", "yaml.full_load", "get_single_node", "get_single_data")
    using = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if any(word in path.read_text(encoding="utf-8") for word in reading)
    }
    assert using - {"_files/yaml.py"} == set()
    assert compose("", loaders([])) is None
