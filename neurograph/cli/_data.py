"""`neurograph data`: what data sets there are, where their files are, and fetching them."""

import json as json_module
import pathlib
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from . import EXIT_BAD_INPUT
from ._console import console

data = typer.Typer(help="Data sets of images: list, download, check.", no_args_is_help=True)

DataDir = Annotated[
    pathlib.Path | None,
    typer.Option("--data-dir", help="Folder of the files; else NEUROGRAPH_DATA, else the cache folder."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout instead of tables.")]


@data.command("list")
def list_data_sets(data_dir: DataDir = None, json: Json = False) -> None:
    """Lists names, classes, sizes, where their files are, licences and citations."""
    from ..tasks import datasets

    try:
        folder = str(datasets.place_of(data_dir).folder)
    except datasets.DataError:
        folder = None  # there is no cache, and no folder is named: nothing is anywhere
    about = []
    for known in datasets.DATA_SETS.values():
        found = None if folder is None else datasets.found_in(known, folder)
        about.append(
            {
                "name": known.name,
                "title": known.title,
                "n_classes": len(known.class_names) or None,
                "classes": list(known.class_names),
                "shape": list(known.shape),
                "n_support": known.n_support,
                "n_query": known.n_query,
                "found": None if found is None else str(found),
                "licence": known.licence,
                "citation": known.citation,
            }
        )
    if json:
        _print({"folder": folder, "data_sets": about})
        return
    table = Table("name", "classes", "images", "pixels", "found", box=None, header_style="bold")
    for entry in about:
        table.add_row(
            entry["name"],
            str(entry["n_classes"] or "10 drawn"),
            f"{entry['n_support']:,} + {entry['n_query']:,}",
            "x".join(map(str, entry["shape"])),
            "no" if entry["found"] is None else "yes",
        )
    out = console()
    out.print(table)
    for entry in about:
        out.print(Text(f"\n{entry['title']}", style="bold"))
        where = entry["found"] or (f"not in {folder}" if folder else "no folder is named, and there is no cache folder")
        out.print(f"  files     {where}", soft_wrap=True)
        out.print(f"  licence   {entry['licence']}", soft_wrap=True)
        out.print(f"  citation  {entry['citation']}", soft_wrap=True)


@data.command("fetch")
def fetch(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Names of data sets.")],
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Downloads data sets, with checksums (SHA-256), into the data folder."""
    from .._text import readable
    from ..tasks import datasets

    place = datasets.place_of(data_dir)
    wanted = [datasets.data_set(name) for name in dict.fromkeys(names)]
    done = []
    for known in wanted:
        paths = datasets.fetch(known, place)
        folder = datasets.found_in(known, place.folder)
        done.append({"name": known.name, "folder": str(folder), "fetched": [str(path) for path in paths]})
        if not json and paths:
            size = readable(sum(path.stat().st_size for path in paths))
            files = f"{len(paths)} file{'' if len(paths) == 1 else 's'}"
            console().print(f"{known.name}: {files}, {size}, fetched into {folder}", soft_wrap=True)
        elif not json:
            console().print(f"{known.name}: already in {folder}", soft_wrap=True)
    if json:
        _print({"data_sets": done})


@data.command("check")
def check(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME...]", help="Names; by default all.")] = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Shows where every file is, its size, and whether it is the official one, another, damaged or missing.

    The exit code is 1 if a file is damaged, or if a file of a data set that was named is missing.
    """
    from .._text import readable
    from ..tasks import datasets

    wanted = [datasets.data_set(name) for name in dict.fromkeys(names or datasets.DATA_SETS)]
    states = {known.name: datasets.check(known, data_dir) for known in wanted}
    if json:
        files = {
            name: [{**state._asdict(), "path": str(state.path)} for state in of_set] for name, of_set in states.items()
        }
        _print({"data_sets": [{"name": name, "files": of_set} for name, of_set in files.items()]})
    else:
        for name, of_set in states.items():
            console().print(Text(name, style="bold"))
            for state in of_set:
                size = "" if state.size is None else f", {readable(state.size)}, sha256 {state.sha256}"
                console().print(f"  {state.state}: {state.path}{size}", soft_wrap=True)
                if state.problem:
                    console().print(f"    {state.problem}", soft_wrap=True)
    bad = (datasets.DAMAGED, datasets.MISSING) if names else (datasets.DAMAGED,)
    if any(state.state in bad for of_set in states.values() for state in of_set):
        raise typer.Exit(EXIT_BAD_INPUT)


def _print(value: Any) -> None:
    print(json_module.dumps(value, indent=2))
