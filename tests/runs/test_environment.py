"""What computed a run is kept with it, and a run that goes on with something else says so."""

import json

import jax
import pytest

from neurograph import rules
from neurograph.runs import RunWarning, environment


def test_each_process_adds_a_line(tmp_path):
    for step in (0, 7):
        environment.record(tmp_path, step)
    lines = [json.loads(line) for line in (tmp_path / environment.FILE).read_text().splitlines()]
    assert [line["step"] for line in lines] == [0, 7]
    assert lines[0]["jax"] == jax.__version__
    assert lines[0]["device"] == jax.devices()[0].device_kind
    del lines[1]["crc32"]
    assert lines[1] == environment.last(tmp_path)


def test_a_line_that_a_kill_cut_short_does_not_spoil_the_next(tmp_path):
    environment.record(tmp_path, 0)
    path = tmp_path / environment.FILE
    path.write_bytes(path.read_bytes()[:-20])
    assert environment.last(tmp_path) is None
    environment.record(tmp_path, 7)
    last = environment.last(tmp_path)
    assert last is not None
    assert last["step"] == 7


def test_a_damaged_line_is_told(tmp_path):
    for step in (0, 7):
        environment.record(tmp_path, step)
    path = tmp_path / environment.FILE
    path.write_bytes(path.read_bytes().replace(b'"step": 7', b'"step": 6'))
    with pytest.warns(RunWarning, match=r"environment\.jsonl' is damaged; these lines are ignored: 2\."):
        last = environment.last(tmp_path)
    assert last is not None
    assert last["step"] == 0


def test_nothing_is_said_where_nothing_differs_or_was_kept(tmp_path, recwarn):
    environment.compare(tmp_path)
    environment.record(tmp_path, 0)
    with open(tmp_path / environment.FILE, "a") as file:
        file.write('{"step": 3, "ja')  # a kill cut it short
    environment.compare(tmp_path)
    assert not recwarn.list


@pytest.mark.parametrize("name", environment._WHAT)
def test_what_differs_is_named(tmp_path, monkeypatch, name):
    environment.record(tmp_path, 0)
    now = environment.found() | {name: "something else"}
    monkeypatch.setattr(environment, "found", lambda rule: now)
    with pytest.warns(RunWarning, match=f"continues with another {environment._WHAT[name]} .* 'something else' now"):
        environment.compare(tmp_path)


def test_the_code_of_a_users_class_has_a_checksum(tmp_path, recwarn):
    class Mine(rules.SignSymmetric):
        """A class of the user's."""

    code = environment.found(Mine())["rule"]
    assert len(code) == 12
    assert environment.found({"*": Mine()})["rule"] == code
    assert environment.found(rules.SignSymmetric())["rule"] == environment.found()["rule"] == ""
    environment.record(tmp_path, 0, Mine())
    environment.compare(tmp_path, Mine())
    assert not recwarn.list

    class Other(rules.SignSymmetric):
        """Another one."""

    with pytest.warns(RunWarning, match="continues with another source code of the rule"):
        environment.compare(tmp_path, Other())


def test_python_and_the_system_may_differ(tmp_path, monkeypatch, recwarn):
    environment.record(tmp_path, 0)
    now = environment.found() | {"python": "4.0", "system": "another", "numpy": "3.0"}
    monkeypatch.setattr(environment, "found", lambda rule: now)
    environment.compare(tmp_path)
    assert not recwarn.list


def test_the_flags_of_random_numbers_are_kept():
    with jax.threefry_partitionable(False):
        assert environment.found()["random"] == "threefry2x32, partitionable: False"
