"""What is said of topology files that are wrong: every problem in a sentence, with its line and column."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurograph.topology import TopologyError, equal, files
from neurograph.topology.files import ConfigError

HEAD = "populations: [{name: a, role: input, size: 2}, {name: b, size: 3}, {name: c, role: output, size: 1}]\n"
LABELLED = HEAD + "labels: [x, y, h1, h2, h3, o]\n"
MLP = "generator: {kind: mlp, sizes: [2, 3, 1]}\n"

# The place that the message must name is marked by @.
WRONG = {
    "unknown key": ("@nmae: x\n" + MLP, "nmae: unknown key 'nmae'; did you mean 'name'?"),
    "far key": (MLP + "@zzz: 1", "zzz: unknown key 'zzz'; choose one of 'name', 'description'"),
    "unknown key below": (
        "generator: {kind: mlp, sizes: [2, 1], @activation: tanh}",
        "generator.activation: unknown key 'activation'; did you mean 'activations'?",
    ),
    "key of another rule": (
        HEAD + "projections: [{from: a, to: b, rule: local, kernel: 2, @p: 1}]",
        "projections[0].p: unknown key 'p'; choose one of",
    ),
    "missing key": (
        HEAD + "projections: [@{from: a, to: b, rule: local}]",
        "projections[0]: the key 'kernel' is missing",
    ),
    "missing rule": (HEAD + "projections: [@{from: a, to: b}]", "projections[0]: the key 'rule' is missing"),
    "unknown rule": (
        HEAD + "projections: [@{from: a, to: b, rule: all_to_al}]",
        "projections[0]: rule 'all_to_al' is unknown; did you mean 'all_to_all'?",
    ),
    "unknown kind": ("generator: @{kind: mlpp}", "generator: kind 'mlpp' is unknown; did you mean 'mlp'?"),
    "unknown population": (
        HEAD + "projections: [{from: @aa, to: b, rule: all_to_all}]",
        "projections[0].from: there is no population 'aa'; did you mean 'a'?",
    ),
    "unknown role": (
        "populations: [{name: a, role: @inputs, size: 1}]\nedges: []",
        "populations[0].role: 'inputs' is unknown; did you mean 'input'?",
    ),
    "unknown activation": (
        "populations: [{name: a, activation: @tahn, size: 1}]\nedges: []",
        "did you mean 'tanh'?",
    ),
    "negative size": (
        "populations: [{name: a, size: @-5}]\nedges: []",
        "populations[0].size: -5 is out of range; it must be at least 1.",
    ),
    "text for a number": (
        "generator: {kind: mlp, sizes: [2, @ten]}",
        "generator.sizes[1]: 'ten' is not a whole number",
    ),
    "fraction": ("generator: {kind: mlp, sizes: [2, @1.5]}", "generator.sizes[1]: 1.5 is not a whole number"),
    "truth value for a number": ("generator: {kind: mlp, sizes: [2, @yes]}", "True is not a whole number"),
    "truth value for text": (
        "name: @yes\n" + MLP,
        "name: YAML reads this word as true; it must be text: put it in quotes.",
    ),
    "number for text": ("name: @12\n" + MLP, "name: 12 is a number; it must be text: put it in quotes."),
    "nothing": ("seed:@ \n" + MLP, "seed: there is no value; give a whole number."),
    "mapping for a list": ("populations: @{a: 1}\nedges: []", "populations: {'a': 1} is not a list"),
    "list for a mapping": ("generator: @[1]", "generator: [1] is not a mapping"),
    "improbable": (
        HEAD + "projections: [{from: a, to: b, rule: pairwise_bernoulli, p: @1.5}]",
        "projections[0].p: 1.5 is out of range; it must be at most 1.",
    ),
    "not a number": (
        HEAD + "projections: [{from: a, to: b, rule: pairwise_bernoulli, p: @.nan}]",
        "projections[0].p: nan is not finite",
    ),
    "shape and size": (
        "populations: [{name: a, size: 3, shape: @[2, 2]}]\nedges: []",
        "populations[0].shape: a shape of 2 x 2 holds 4 neurons, but the size is 3",
    ),
    "no size": ("populations: [@{name: a}]\nedges: []", "populations[0]: the population has neither size nor shape"),
    "flat shape": (
        "populations: [{name: a, shape: @[4]}]\nedges: []",
        "the number of entries is 1; it must be at least 2.",
    ),
    "same name": (
        "populations: [{name: a, size: 1}, {name: @a, size: 1}]\nedges: []",
        "populations[1].name: populations 0 and 1 are both called 'a'",
    ),
    "key twice": ("name: a\n@name: b\n" + MLP, "name: the key 'name' already appears in line 1"),
    "two ways": (MLP + HEAD + "edges: @[]", "edges: generator and edges both say how neurons are joined"),
    "no way": ("@name: a", "nothing says how neurons are joined"),
    "generator and populations": (MLP + "populations: @[{name: a, size: 1}]", "populations: a generator makes a whole"),
    "no populations": ("@projections: []", "there are none; give populations"),
    "generator's own rule": (
        "generator: @{kind: small_world, n_inputs: 1, n_outputs: 1, n_nodes: 4, n_neighbours: 4}",
        "generator: n_neighbours is 4; it must be even, at least 2 and less than n_nodes = 4.",
    ),
    "odd ring": (
        "generator: {kind: small_world, n_inputs: 1, n_outputs: 1, n_nodes: 9, n_neighbours: @3}",
        "generator.n_neighbours: 3 is out of range; it must be a multiple of 2.",
    ),
    "unequal sizes": (
        HEAD + "projections: [@{from: a, to: b, rule: one_to_one}]",
        "projections[0]: one_to_one joins 2 to 3 neurons",
    ),
    "no shape": (
        HEAD + "projections: [@{from: a, to: b, rule: local, kernel: 1}]",
        "projections[0]: local needs populations with a shape, but 'a' has none",
    ),
    "too many senders": (
        HEAD + "projections: [@{from: a, to: b, rule: fixed_indegree, n: 3}]",
        "projections[0]: fixed_indegree has n = 3",
    ),
    "pair out of range": (
        HEAD + "projections: [@{from: a, to: b, rule: edges, pairs: [[0, 3]]}]",
        "projections[0]: pair number 0, [0, 3], has receiver 3",
    ),
    "pairs and file": (
        HEAD + "projections: [@{from: a, to: b, rule: edges, pairs: [], file: x}]",
        "projections[0]: pairs and file are given together; give one of pairs, file.",
    ),
    "unknown neuron": (LABELLED + "edges: [[x, @h]]", "edges[0][1]: there is no neuron labelled 'h'; did you mean 'h"),
    "number out of range": (HEAD + "edges: [[0, @6]]", "edges[0][1]: there is no neuron 6; without labels"),
    "label that is none": (LABELLED.replace("h2", "@{a: 1}") + "edges: []", "labels[3]: a mapping cannot be a label"),
    "label within": (LABELLED.replace("h2", "@[b, {a: 1}]") + "edges: []", "labels[3]: a mapping cannot be a label"),
    "too few labels": (HEAD + "labels: @[x, y]\nedges: []", "labels: there are 2 labels for 6 neurons"),
    "unknown output": (LABELLED + "outputs: [@p]\nedges: []", "outputs[0]: there is no neuron labelled 'p'"),
    "text for a weight": (LABELLED + "edges: [[x, o, @heavy]]", "edges[0][2]: the weight 'heavy' is not a number."),
    "infinite weight": (LABELLED + "edges: [[x, o, @.inf]]", "edges[0][2]: the weight is inf"),
    "some weights": (LABELLED + "edges: [[x, o, 1], @[y, o]]", "edges[1]: some synapses have a weight and some"),
    "unknown column": (
        HEAD + "edges: {columns: @[sender, receiver, wieght], rows: ''}",
        "edges.columns: unknown column 'wieght'; did you mean 'weight'?",
    ),
    "no sender": (HEAD + "edges: {columns: @[receiver, weight], rows: ''}", "there is no column 'sender'"),
    "column twice": (
        HEAD + "edges: {columns: @[sender, receiver, sender], rows: ''}",
        "column 'sender' appears twice",
    ),
    "channel left out": (HEAD + "edges: {columns: @[sender, receiver, weight_2], rows: ''}", "weight are [2]"),
    "columns alone": (HEAD + "edges: @{columns: [sender, receiver]}", "columns and rows go together"),
    "members": (HEAD + "members: @2*0 3*x\nedges: []", "members: '3*x' is not a run length"),
    "too few members": (HEAD + "members: @2*0\nedges: []", "members: 2 neurons are listed, but the populations have 6"),
    "other members": (HEAD + "members: @3*0 2*1 2\nedges: []", "population 'a' has size 2, but 3 neurons are listed"),
    "biases": (HEAD + "biases: @1 2 3\nedges: []", "biases: the lines do not have 6 numbers each"),
    "train": (MLP + "train: @[steps]", "train: ['steps'] is not a mapping of keys to values"),
    "list as a file": ("@[1, 2]", "a topology file must be a mapping"),
    "text as a file": ("@hello", "a topology file must be a mapping"),
    "malformed": ("name: a\npopulations: [1, 2\nseed@: 3", "this is not valid YAML: "),
    "tab": ("@\tname: a", "a tab indents this line, but YAML allows only spaces; write spaces instead."),
    "tab within": (HEAD + "projections:\n@\t- {from: a, to: b, rule: all_to_all}", "a tab indents this line"),
    "no-break spaces": (
        "generator:\n@\xa0\xa0kind: mlp",
        "'\\xa0\\xa0kind' holds NO-BREAK SPACE (U+00A0); leave it out",
    ),
    "typographic quotes": ("name: “my@: net”\n" + MLP, "This line holds LEFT DOUBLE QUOTATION MARK (U+201C)"),
    "key with a zero width space": ("@na\u200bme: a\n" + MLP, "did you mean 'name'? 'na\\u200bme' holds ZERO WIDTH"),
    "rule with a mark": (
        HEAD + "projections: [@{from: a, to: b, rule: all\ufeff_to_all}]",
        "did you mean 'all_to_all'? 'all\\ufeff_to_all' holds ZERO WIDTH NO-BREAK SPACE (U+FEFF)",
    ),
    "population in other characters": (
        HEAD.replace("name: a", "name: é") + "projections: [{from: @e\u0301, to: b, rule: all_to_all}]",
        "did you mean 'é'? The two look the same, but one is spelt with composed and the other with decomposed",
    ),
    "label in other characters": (
        LABELLED.replace("[x", "[é") + "edges: [[@e\u0301, o]]",
        "did you mean 'é'? The two look the same, but one is spelt with composed and the other with decomposed",
    ),
    "control character": ("name: a@\x07", "the character U+0007 cannot be in a YAML file; remove it."),
    "underscores": ("seed: @1_000\n" + MLP, "seed: '1_000' is text, not a whole number; write 1000."),
    "octal": ("seed: @0o17\n" + MLP, "seed: '0o17' is text, not a whole number; write 15."),
    "sexagesimal": ("seed: @1:30\n" + MLP, "seed: '1:30' is not a whole number; give a whole number."),
    "number in quotes": ("seed: @'10'\n" + MLP, "seed: '10' is text, not a whole number; write 10."),
    "decimal comma": (
        HEAD + "projections: [{from: a, to: b, rule: pairwise_bernoulli, p: @'0,5'}]",
        "p: '0,5' is text, not a number; write 0.5.",
    ),
    "large whole number": ("seed: @1e300\n" + MLP, "is out of range; it must be at most 9.22337e+18."),
    "very many digits": (
        f"seed: @{'1' * 5000}\n" + MLP,
        "seed: the whole number 111111111111 ... has 5,000 digits; at",
    ),
    "very many hexadecimal digits": (
        f"labels: [@0x{'f' * 5000}]\n",
        "labels[0]: the whole number 0xffffffffff ... has",
    ),
    "number beyond floats": (
        HEAD + f"projections: [{{from: a, to: b, rule: pairwise_bernoulli, p: @{'1' * 400}}}]",
        " ... is beyond the largest number, 1.8e308; give a smaller one.",
    ),
    "truth values as labels": (
        LABELLED.replace("x, y", "no, @off") + "edges: []",
        "labels[1]: YAML reads a word such as yes, no, on or off as false, so it takes labels 0 and 1 for the same",
    ),
    "a truth value and a number": (
        LABELLED.replace("x, y", "1, @yes") + "edges: []",
        "off as true, so it takes labels",
    ),
    "label that is no number": (
        LABELLED.replace("x,", "@.nan,") + "edges: []",
        "labels[0]: nan cannot be a neuron's name",
    ),
    "place written as a fraction": (
        HEAD + "projections: [{from: a, to: b, rule: edges, pairs: [[0, @1.0]]}]",
        "pairs[0][1]: 1.0 is not written as a whole number; write 1.",
    ),
    "two documents": (MLP + "@---\nname: a", "this is not valid YAML: "),
    "python object": ("name: @!!python/object:os.system x", "the tag 'tag:yaml.org,2002:python/object:os.system'"),
    "anchor within itself": ("labels: &a [@*a]", "an anchor contains itself; remove the alias."),
    "key that is a list": ("@[a, b]: c", "a key is a list or a mapping"),
    "merge of text": ("<<: @a", "<< merges only mappings"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_told_with_its_place(case):
    marked, message = WRONG[case]
    before = marked[: marked.index("@")]
    line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
    with pytest.raises(ConfigError) as caught:
        files.loads(marked.replace("@", "", 1), "file.yaml")
    mine = [str(problem) for problem in caught.value.problems if message in str(problem)]
    assert mine, str(caught.value)
    assert mine[0].startswith(f"file.yaml:{line}:{column}: "), mine[0]


def test_whole_numbers_may_be_written_as_other_numbers():
    plain = "populations: [{name: a, role: input, shape: [4, 4]}, {name: b, role: output, size: 16, shape: [4, 4]}]\n"
    plain += "projections: [{from: a, to: b, rule: local, kernel: 3, stride: [1, 1]}]\nseed: 1000\n"
    other = plain.replace("[4, 4]", "[4.0, 4e0]").replace("16", "1.6e1").replace("kernel: 3", "kernel: 3.0")
    other = other.replace("[1, 1]", "[1.0, 1]").replace("1000", "1e3")
    assert equal(files.loads(other, "a"), files.loads(plain, "a"))
    with pytest.raises(ConfigError, match="a shape of 4 x 4 holds 16 neurons, but the size is 17"):
        files.loads(other.replace("1.6e1", "17.0"))
    layers = "generator: {kind: mlp, sizes: [%s, 10]}"
    assert equal(files.loads(layers % "1e2", "a"), files.loads(layers % "100", "a"))


@pytest.mark.parametrize(
    ("rows", "line", "message"),
    [
        ("0 2 1\n    1 2 x", 5, "'x' is not a number"),
        ("0 2 1\n    # a comment\n\n    1 2", 7, "this line has 2 numbers, but there are 3 columns"),
        ("# a comment\n    0.5 2 1", 5, "0.5 and 2 are not the numbers of two neurons"),
        ("0 6 1", 4, "0 and 6 are not the numbers of two neurons; these are whole numbers from 0 to 5."),
    ],
)
def test_lines_of_a_table_are_told(rows, line, message):
    text = HEAD + f"edges:\n  columns: [sender, receiver, weight]\n  rows: |\n    {rows}\n"
    # The table starts below `rows: |`, in line 5 of the file when counted with the populations' line.
    with pytest.raises(ConfigError, match=f"^file.yaml:{line + 1}: edges.rows: {re.escape(message)}"):
        files.loads(text, "file.yaml")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "edges.csv: the file is empty"),
        ("sender,receiver\n0,2\n1,2,3\n", "edges.csv:3: it has 3 cells, but line 1 has 2; make them agree"),
        ("sender,reciever\n0,2\n", "edges.csv:1: unknown column 'reciever'; did you mean 'receiver'?"),
        ("sender,receiver\n0,2\n1,nine\n", "edges.csv:3: there is no neuron 'nine'"),
        ("sender,receiver,weight\n0,2,nan\n", "edges.csv:2: the weight is nan"),
        ("sender,receiver,weight\n0,2,\n", "edges.csv:2: the weight '' is not a number"),
        ('sender,receiver\n0,"2\n', "edges.csv:2: the CSV is malformed: "),
        (b"sender,receiver\n0,\xff\n", "edges.csv: line 2: the file is not UTF-8 text"),
        (None, "edges.csv: there is no such file"),
    ],
)
def test_a_wrong_csv_file_is_told(tmp_path, content, message):
    if content is not None:
        (tmp_path / "edges.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigError, match=re.escape(message)):
        files.loads(HEAD + "edges: {file: edges.csv}", folder=tmp_path)


@pytest.mark.parametrize("name", [r"a\0b", r"\ud800"])
def test_a_name_that_no_file_has_is_told(name):
    with pytest.raises(ConfigError, match="no file can have such a name; check the path"):
        files.loads(HEAD + f'edges: {{file: "{name}"}}')


def test_parallel_synapses_are_told_with_both_places(tmp_path):
    (tmp_path / "edges.csv").write_text("sender,receiver\n0,2\n2,5\n0,2\n")
    with pytest.raises(TopologyError, match=r"at edges.csv line 2 and edges.csv line 4"):
        files.loads(HEAD + "edges: {file: edges.csv}", folder=tmp_path)
    with pytest.raises(TopologyError, match="at line 3 and line 5"):
        files.loads(LABELLED + "edges: [[x, h1],\n [h1, o],\n [x, h1]]")
    with pytest.raises(TopologyError, match=r"at projections\[0\] in line 3 and projections\[1\] in line 4"):
        files.loads(
            HEAD
            + "projections:\n - {from: a, to: c, rule: all_to_all}\n - {from: a, to: c, rule: fixed_indegree, n: 1}"
        )


def test_everything_wrong_is_told_at_once_in_the_order_of_the_file():
    text = (
        "populations:\n- {name: a, role: input, size: -1}\n- {name: b, role: output, sise: 2}\n"
        "projections:\n- {from: c, to: b, rule: pairwise_bernoulli, p: 2}"
    )
    with pytest.raises(ConfigError) as caught:
        files.loads(text)
    paths = [problem.path for problem in caught.value.problems]
    assert paths == [
        "populations[0].size",
        "populations[1]",
        "populations[1].sise",
        "projections[0].from",
        "projections[0].p",
    ]
    assert str(caught.value).count("\n") == len(paths) - 1


@pytest.mark.parametrize("depth", [101, 900, 100_000])
@pytest.mark.parametrize("opening", ["[", "{", "- ", "? ", "[{a: "])
def test_deep_nesting_is_an_error_and_no_crash(opening, depth):
    with pytest.raises(ConfigError, match="lists and mappings are nested more than 100 deep"):
        files.loads("name:\n " + opening * depth)


def test_files_that_are_none(tmp_path):
    folder = tmp_path / "folder.yaml"
    folder.mkdir()
    empty = tmp_path / "empty.yaml"
    empty.write_text("# nothing\n")
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    for path, message in [
        (folder, "this is a directory"),
        (empty, "the file is empty"),
        (binary, "the file is UTF-16 text; save it as UTF-8"),
        (tmp_path / "none.yaml", "there is no such file"),
    ]:
        with pytest.raises(ConfigError, match=f"^{re.escape(str(path))}: {message}"):
            files.load(path)


@given(st.text(st.sampled_from("abc:[]{}&*!|>'\"%@`,#?-~<\n \t0.é\0"), max_size=60))
def test_any_text_is_a_topology_or_a_sentence(text):
    with pytest.raises((ConfigError, TopologyError)):
        files.loads(text)
