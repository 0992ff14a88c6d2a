"""What a planted defect does to the syntax tree of a function: small changes that know no layout and few names."""

import abc
import ast
import copy
import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from ._syntax import find, match, metavariables, parse, substitute

Replacement = ast.AST | list[ast.stmt]


class PlantingError(ValueError):
    """A defect does not fit the source that it is to be planted in."""


@dataclasses.dataclass(frozen=True)
class Operator(abc.ABC):
    """A change of some places in a function.

    Attributes:
        n: which of the places to change, counted from 1 in the order of the source; None changes all.
        of: how many places there must be.
    """

    n: int | None = dataclasses.field(default=None, kw_only=True)
    of: int = dataclasses.field(default=1, kw_only=True)

    @abc.abstractmethod
    def replacement(self, node: ast.AST) -> Replacement | None:
        """What to put in the place of a node; None where it is not to be changed."""

    def places(self, scope: ast.AST) -> list[ast.AST]:
        """The nodes that can be changed."""
        return sorted((node for node in ast.walk(scope) if self.replacement(node) is not None), key=_position)

    def __call__(self, source: str, where: str) -> str:
        """The source of a module, changed where it defines `where`.

        Raises:
            PlantingError: `where` is not defined once, or the number of places in it is not `of`.
        """
        tree = ast.parse(source)
        scopes = find(tree, where)
        if len(scopes) != 1:
            raise PlantingError(f"'{where}' is defined {len(scopes)} times; it must be defined once")
        places = self.places(scopes[0])
        if len(places) != self.of:
            raise PlantingError(
                f"{self} fits {len(places)} places in '{where}'; it must fit {self.of}{_listed(places)}"
            )
        chosen = places if self.n is None else [places[self.n - 1]]
        changed = _Exchange({id(node) for node in chosen}, self.replacement).visit(tree)
        return ast.unparse(ast.fix_missing_locations(changed)) + "\n"


def _position(node: ast.AST) -> tuple[int, int]:
    """Where a node's operator stands, else where the node begins."""
    if isinstance(node, ast.BinOp):
        return node.left.end_lineno or 0, node.left.end_col_offset or 0
    return getattr(node, "lineno", 0), getattr(node, "col_offset", 0)


def _listed(places: list[ast.AST]) -> str:
    return "".join(f"\n    {ast.unparse(node).splitlines()[0]}" for node in places)


class _Exchange(ast.NodeTransformer):
    def __init__(self, chosen: set[int], replacement: Callable[[ast.AST], Any]):
        self.chosen, self.replacement = chosen, replacement

    def visit(self, node: ast.AST) -> Any:
        chosen = id(node) in self.chosen
        node = self.generic_visit(node)
        return self.replacement(node) if chosen else node


def _with(node: ast.AST, **fields: Any) -> Any:
    """A shallow copy of a node, with other fields."""
    node = copy.copy(node)
    for name, value in fields.items():
        setattr(node, name, value)
    return node


def _expression(source: str, **found: ast.AST) -> Any:
    """Parsed source, in which `_x` and the like are replaced."""
    tree = parse(source)
    assert tree is not None
    return substitute(tree, found)


def _is_call(node: ast.AST, function: str) -> bool:
    """Whether a node calls a function of that (dotted) name."""
    return isinstance(node, ast.Call) and ast.unparse(node.func) == function


# --- arithmetic -------------------------------------------------------------------------------------------------------


class FlipSign(Operator):
    """`a + b` becomes `a - b` and the reverse; `-a` becomes `a`."""

    def replacement(self, node: ast.AST) -> Replacement | None:
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return node.operand
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
            return ast.BinOp(node.left, ast.Add() if isinstance(node.op, ast.Sub) else ast.Sub(), node.right)
        return None


@dataclasses.dataclass(frozen=True)
class _Binary(Operator):
    """Attributes:
    sign: the operator, as `-`; of comparisons, as `<`.
    """

    sign: str

    def sides(self, node: ast.AST) -> tuple[ast.expr, ast.expr] | None:
        pattern = parse(f"_x {self.sign} _y")
        found: dict[str, Any] = {}
        return (found["_x"], found["_y"]) if match(pattern, node, found) else None


class SwapOperands(_Binary):
    """`a - b` becomes `b - a`."""

    def replacement(self, node: ast.AST) -> Replacement | None:
        sides = self.sides(node)
        return None if sides is None else _expression(f"_x {self.sign} _y", _x=sides[1], _y=sides[0])


class DropTerm(_Binary):
    """`a + b` becomes `a`, and so do `a - b`, `a * b`, `a / b`."""

    def replacement(self, node: ast.AST) -> Replacement | None:
        sides = self.sides(node)
        return None if sides is None else sides[0]


class DropFirstTerm(_Binary):
    """`a + b` becomes `b`, and so does `a * b`."""

    def replacement(self, node: ast.AST) -> Replacement | None:
        sides = self.sides(node)
        return None if sides is None else sides[1]


@dataclasses.dataclass(frozen=True)
class ReplaceConstant(Operator):
    """A number or a string becomes another."""

    old: Any
    new: Any

    def replacement(self, node: ast.AST) -> Replacement | None:
        if isinstance(node, ast.Constant) and type(node.value) is type(self.old) and node.value == self.old:
            return ast.parse(repr(self.new), mode="eval").body
        return None


# --- names and calls --------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class ReplaceAttribute(Operator):
    """`anything.old` becomes `anything.new`."""

    old: str
    new: str

    def replacement(self, node: ast.AST) -> Replacement | None:
        return (
            ast.Attribute(node.value, self.new) if isinstance(node, ast.Attribute) and node.attr == self.old else None
        )


@dataclasses.dataclass(frozen=True)
class ReplaceCall(Operator):
    """`old(...)` becomes `new(...)`."""

    old: str
    new: str

    def replacement(self, node: ast.AST) -> Replacement | None:
        if isinstance(node, ast.Call) and _is_call(node, self.old):
            return ast.Call(_expression(self.new), node.args, node.keywords)
        return None


@dataclasses.dataclass(frozen=True)
class SwapArguments(Operator):
    """Two positional arguments of a call (numbers from 0) change places."""

    call: str
    i: int
    j: int

    def replacement(self, node: ast.AST) -> Replacement | None:
        if not isinstance(node, ast.Call) or not _is_call(node, self.call) or len(node.args) <= max(self.i, self.j):
            return None
        arguments = list(node.args)
        arguments[self.i], arguments[self.j] = arguments[self.j], arguments[self.i]
        return ast.Call(node.func, arguments, node.keywords)


@dataclasses.dataclass(frozen=True)
class SetArgument(Operator):
    """An argument of a call (a number from 0, or a keyword) becomes another, in which `_x` stands for the old one."""

    call: str
    argument: int | str
    new: str

    def replacement(self, node: ast.AST) -> Replacement | None:
        if not isinstance(node, ast.Call) or not _is_call(node, self.call):
            return None
        arguments, keywords = list(node.args), {keyword.arg: keyword.value for keyword in node.keywords}
        if isinstance(self.argument, int):
            if self.argument >= len(arguments):
                return None
            arguments[self.argument] = _expression(self.new, _x=arguments[self.argument])
        else:
            if self.argument not in keywords and "_x" in metavariables(parse(self.new)):
                return None
            keywords[self.argument] = _expression(self.new, _x=keywords.get(self.argument, ast.Constant(None)))
        return ast.Call(node.func, arguments, [ast.keyword(name, value) for name, value in keywords.items()])


# --- conditions, statements, functions --------------------------------------------------------------------------------


class _Condition(Operator):
    @abc.abstractmethod
    def changed(self, test: ast.expr) -> ast.expr: ...

    def replacement(self, node: ast.AST) -> Replacement | None:
        if isinstance(node, ast.If | ast.IfExp | ast.While):
            return _with(node, test=self.changed(node.test))
        if isinstance(node, ast.comprehension) and node.ifs:
            return _with(node, ifs=[*node.ifs[:-1], self.changed(node.ifs[-1])])
        return None


class NegateCondition(_Condition):
    """`if a`, `b if a else c`, `while a` and the last `if a` of a comprehension get `not a`."""

    def changed(self, test: ast.expr) -> ast.expr:
        return ast.UnaryOp(ast.Not(), test)


@dataclasses.dataclass(frozen=True)
class FixCondition(_Condition):
    """Conditions, as of `NegateCondition`, become True or False."""

    value: bool

    def changed(self, test: ast.expr) -> ast.expr:
        return ast.Constant(self.value)


class DeleteStatement(Operator):
    """A statement of a function's own body goes; its docstring and what is within its blocks do not count."""

    def places(self, scope: ast.AST) -> list[ast.AST]:
        body = scope.body if isinstance(scope, ast.FunctionDef) else []
        return [node for node in body if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))]

    def replacement(self, node: ast.AST) -> Replacement | None:
        return ast.Pass()


class _Definition(Operator):
    """Changes a function as a whole."""

    @abc.abstractmethod
    def changed(self, function: ast.FunctionDef) -> Mapping[str, Any] | None:
        """The fields of the function's node that change; None where it does not fit."""

    def places(self, scope: ast.AST) -> list[ast.AST]:
        return [scope] if self.replacement(scope) is not None else []

    def replacement(self, node: ast.AST) -> Replacement | None:
        changed = self.changed(node) if isinstance(node, ast.FunctionDef) else None
        return None if changed is None else _with(node, **changed)


@dataclasses.dataclass(frozen=True)
class ReplaceBody(_Definition):
    """A function does something else; the source may use the names of its parameters."""

    source: str

    def changed(self, function: ast.FunctionDef) -> Mapping[str, Any]:
        return {"body": ast.parse(self.source).body}


@dataclasses.dataclass(frozen=True)
class ReturnArgument(_Definition):
    """A function returns one of its positional arguments (a number from 0), and does nothing else."""

    argument: int

    def changed(self, function: ast.FunctionDef) -> Mapping[str, Any] | None:
        names = [arg.arg for arg in (*function.args.posonlyargs, *function.args.args)]
        return {"body": [ast.Return(ast.Name(names[self.argument]))]} if self.argument < len(names) else None


@dataclasses.dataclass(frozen=True)
class DropDecorator(_Definition):
    """A function loses the decorator of that (dotted) name."""

    decorator: str

    def changed(self, function: ast.FunctionDef) -> Mapping[str, Any] | None:
        kept = [one for one in function.decorator_list if ast.unparse(one).partition("(")[0] != self.decorator]
        return {"decorator_list": kept} if len(kept) < len(function.decorator_list) else None


@dataclasses.dataclass(frozen=True)
class ChangeReturn(Operator):
    """What is returned becomes another expression, in which `_x` stands for the old one."""

    new: str

    def replacement(self, node: ast.AST) -> Replacement | None:
        if isinstance(node, ast.Return) and node.value is not None:
            return ast.Return(_expression(self.new, _x=node.value))
        return None


@dataclasses.dataclass(frozen=True)
class Rewrite(Operator):
    """An expression or a statement becomes another; see `_syntax` for patterns. An empty replacement deletes."""

    pattern: str
    new: str

    def __post_init__(self) -> None:
        unknown = metavariables(parse(self.new)) - metavariables(parse(self.pattern)) - {"_"}
        if unknown:
            raise ValueError(f"{self}: the pattern does not say what {', '.join(sorted(unknown))} stands for.")

    def replacement(self, node: ast.AST) -> Replacement | None:
        pattern, new, found = parse(self.pattern), parse(self.new), {}
        if not match(pattern, node, found):
            return None
        if new is None:
            return ast.Pass()
        new = substitute(new, found)
        return ast.Expr(new) if isinstance(new, ast.expr) and isinstance(pattern, ast.stmt) else new
