"""Reads the files of experiments, and finds the module that each one names.

title: Is the learned rule gradient descent?
figure: Figure 2 and Appendix A         # or: new
question: What the experiment asks, in a sentence or two.
module: gradient_descent                # a module of `neurograph.experiments.figures`; by default the file's name
dtype: float64                          # by default float32
scales:
  tiny: {minutes: 0.1, settings: {...}} # settings: those that the module defines
  small: ...
  full: ...
claims:
  - name: asymmetric                    # one of the module's measures
    claim: The claim in our own words.
    where: section 3.5, Figure 2
    judged: What is measured, in words.
    holds: {at_least: 0.01}
    partly: {at_least: 0.001}           # may be left out
"""

import importlib
import importlib.util
import os
import pathlib
import types
from collections.abc import Mapping
from typing import Annotated, Any, Generic, Literal, NamedTuple, Protocol, TypeVar, cast

from pydantic import BaseModel, Field, model_validator

from .._text import UserError, nearest
from ..topology.files.yaml import STRICT, Document, checked, read_document
from .cells import Cell, Results

Scale = Literal["tiny", "small", "full"]
SCALES: tuple[Scale, ...] = ("tiny", "small", "full")
"""Seconds, as the tests run it; some ten minutes on two cores; the size of the paper."""

_FIGURES = f"{__name__.rpartition('.')[0]}.figures"
_SUFFIXES = (".yaml", ".yml")
_Settings = TypeVar("_Settings", bound=BaseModel)
_Text = Annotated[str, Field(min_length=1)]


class Module(Protocol):
    """What a module of `neurograph.experiments.figures` defines.

    Attributes:
        Settings: the model of the settings.
    """

    Settings: type[BaseModel]

    def cells(self, settings: Any) -> list[Cell]:
        """Lists the units of work in the order in which they are done; later ones may use results of earlier ones."""
        ...

    def rows(self, settings: Any, results: Results) -> list[dict[str, Any]]:
        """Makes the table of numbers, a row for each thing measured; cells that were skipped are not in `results`."""
        ...

    def measures(self, settings: Any, results: Results) -> dict[str, float | None]:
        """Computes what claims are judged by, each under the name of its claim; None where there is nothing to tell."""
        ...

    def draw(self, settings: Any, results: Results) -> Any:
        """Draws the figure, as a `Figure` of matplotlib."""
        ...


class Band(BaseModel):
    """A range of numbers, which includes its ends."""

    model_config = STRICT

    at_least: float | None = Field(default=None, description="the lower end")
    at_most: float | None = Field(default=None, description="the upper end")

    @model_validator(mode="after")
    def _has_an_end(self) -> "Band":
        if self.at_least is None and self.at_most is None:
            raise ValueError("a range has an end; give at_least, at_most, or both")
        return self

    def holds(self, value: float) -> bool:
        """Whether a number lies within; NaN does not."""
        low = -float("inf") if self.at_least is None else self.at_least
        high = float("inf") if self.at_most is None else self.at_most
        return low <= value <= high

    def __str__(self) -> str:
        ends = [("at least", self.at_least), ("at most", self.at_most)]
        return " and ".join(f"{word} {end:g}" for word, end in ends if end is not None)


class ClaimConfig(BaseModel):
    """A claim, and how it is judged."""

    model_config = STRICT

    name: _Text = Field(description="the measure by which it is judged")
    claim: _Text = Field(description="the claim, in our own words")
    where: _Text = Field(description="the section and the figure of the paper, or new")
    judged: _Text = Field(description="what is measured, in words")
    holds: Band = Field(description="where the measure must lie for the claim to hold")
    partly: Band | None = Field(default=None, description="where it must lie for the claim to hold partly")


class ScaleConfig(BaseModel, Generic[_Settings]):
    """The size of an experiment."""

    model_config = STRICT

    minutes: Annotated[float, Field(gt=0)] = Field(description="about how long it takes on two cores")
    settings: _Settings = Field(description="what its module is given")


class Scales(BaseModel, Generic[_Settings]):
    """An experiment in three sizes."""

    model_config = STRICT

    tiny: ScaleConfig[_Settings] = Field(description="seconds")
    small: ScaleConfig[_Settings] = Field(description="5 to 25 minutes on two cores")
    full: ScaleConfig[_Settings] = Field(description="the size of the paper")


class ExperimentFile(BaseModel, Generic[_Settings]):
    """A file of `experiments/`."""

    model_config = STRICT

    title: _Text = Field(description="the question, in short")
    figure: _Text = Field(description="which figure of the paper it redoes, or new")
    question: _Text = Field(description="what the experiment asks")
    module: str | None = Field(default=None, description="what computes it; by default the module of the file's name")
    dtype: Literal["float32", "float64"] = Field(default="float32", description="the widest type of numbers")
    scales: Scales[_Settings] = Field(description="settings by scale")
    claims: list[ClaimConfig] = Field(min_length=1, description="what the paper claims, and how that is judged")


class Experiment(NamedTuple):
    """An experiment, read and checked.

    Attributes:
        name: that of its file.
        file: what the file says.
        module: what computes it.
        document: the data of the file, which a folder keeps.
    """

    name: str
    file: ExperimentFile[Any]
    module: Module
    document: Mapping[str, Any]

    def at(self, scale: Scale) -> ScaleConfig[Any]:
        """Its settings at a scale."""
        return getattr(self.file.scales, scale)


def names() -> list[str]:
    """Lists the names of all experiments."""
    return sorted(_files(), key=_by_number)


def listed() -> list[Experiment]:
    """Reads all experiments, by name."""
    return [load(name) for name in names()]


def load(what: str | os.PathLike[str]) -> Experiment:
    """Reads an experiment.

    Args:
        what: a name of `names()`, or the path of a file of one's own, which ends in .yaml.

    Raises:
        UserError: there is none of that name (the nearest is named), or the file is wrong (each problem is named with
            its place).
    """
    path = pathlib.Path(what)
    found = path if path.suffix.lower() in _SUFFIXES and path.is_file() else _files().get(str(what))
    if found is None and path.suffix.lower() in _SUFFIXES:
        raise UserError(f"there is no file '{what}'; give the path of an experiment's file, or the name of one.")
    if found is None:
        raise UserError(f"there is no experiment '{what}'; {nearest(str(what), names())}")
    document = read_document(found)
    return of_data(found.stem, document.data, document)


def of_data(name: str, data: Any, document: Document | None = None) -> Experiment:
    """Checks the data of an experiment's file.

    Args:
        name: the experiment's.
        data: what the file says.
        document: the file, for the places of what is wrong; None where the data were kept in a folder.

    Raises:
        UserError: something is wrong; or the claims have the same name twice.
    """
    data = {key: value for key, value in data.items() if not str(key).startswith("x-")} if _is_mapping(data) else data
    module = _module_of(name, data) if _is_mapping(data) else None
    file = checked(ExperimentFile[BaseModel if module is None else module.Settings], data, document)
    assert module is not None  # what is no mapping is no such file
    twice = [claim.name for n, claim in enumerate(file.claims) if claim.name in {c.name for c in file.claims[:n]}]
    if twice:
        raise UserError(f"experiment '{name}': the claim '{twice[0]}' comes twice; leave one of them out.")
    return Experiment(name, file, module, data)


def _module_of(name: str, data: Any) -> Module:
    said = data.get("module")
    word = said if isinstance(said, str) else name
    known = _modules()
    if word not in known:
        raise UserError(f"experiment '{name}': there is no module '{word}' for it; {nearest(word, known)}")
    return cast(Module, importlib.import_module(f"{_FIGURES}.{word}"))


def _modules() -> list[str]:
    package: types.ModuleType = importlib.import_module(_FIGURES)
    folder = pathlib.Path(package.__path__[0])
    return sorted(path.stem for path in folder.glob("*.py") if not path.stem.startswith("_"))


def _is_mapping(data: Any) -> bool:
    return isinstance(data, Mapping)


def _by_number(name: str) -> tuple[str, int, str]:
    """So that fig10 comes after fig9."""
    word = name.rstrip("0123456789")
    digits = name[len(word) :]
    return word, int(digits) if digits else -1, name


def _files() -> dict[str, pathlib.Path]:
    # Installed from a wheel they lie within the package, in a checkout beside it.
    package = pathlib.Path(__file__).resolve().parents[1]
    for folder in (package / "experiments" / "files", package.parent / "experiments"):
        if folder.is_dir():
            return {path.stem: path for path in sorted(folder.iterdir()) if path.suffix in _SUFFIXES}
    return {}
