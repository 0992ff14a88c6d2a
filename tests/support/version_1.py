"""Folders of runs as they were written before they had checksums."""

import json
import pathlib

import yaml
from safetensors import safe_open
from safetensors.numpy import save_file


def write_without_checksums(folder: pathlib.Path) -> None:
    """Makes a run's folder one of the version before: nothing in it has a checksum."""
    config = yaml.safe_load((folder / "config.yaml").read_text())
    kept = {name: value for name, value in config.items() if name not in ("checksums", "sha256")}
    (folder / "config.yaml").write_text(yaml.safe_dump(kept, sort_keys=False))
    for path in folder.glob("*.jsonl"):
        records = [json.loads(line) for line in path.read_text().splitlines()]
        path.write_text("".join(json.dumps({k: v for k, v in r.items() if k != "crc32"}) + "\n" for r in records))
    for path in folder.rglob("*.safetensors"):
        write_version_1(path)


def write_version_1(path: pathlib.Path, **changes: object) -> None:
    """Writes a file of arrays anew as the version before did, with changes of its metadata."""
    with safe_open(path, framework="numpy") as file:
        about = json.loads(file.metadata()["neurograph"])
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - a file, not a dict
    about = {name: value for name, value in about.items() if name != "sha256"} | {"format": 1} | changes
    save_file(arrays, path, {"neurograph": json.dumps(about)})
