"""Search and replacement in Python's syntax trees, whatever the layout and the names of local variables.

A pattern is Python source, in which `_x`, `_y`, `_n1` ... stand for any expression (for the same one where a name
recurs), `_` for any expression at all, `...` among the arguments of a call for all further arguments, and `...` as a
statement for all further statements of its block.
"""

import ast
import copy
import functools
import itertools
import re
from collections.abc import Iterator
from typing import Any

_METAVARIABLE = re.compile(r"_([a-z]\d?)?")
_LAYOUT = {"ctx", "kind", "type_comment"}
Found = dict[str, Any]


def find(tree: ast.Module, where: str) -> list[ast.AST]:
    """The functions, classes and assigned names that are called so, as `Blur.receive_down`; "" is the whole module."""
    scopes: list[ast.AST] = [tree]
    for name in filter(None, where.split(".")):
        scopes = [inner for scope in scopes for inner in _defined(scope) if name in _names(inner)]
    return scopes


def _names(node: ast.AST) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Assign):
        return [target.id for target in node.targets if isinstance(target, ast.Name)]
    return [node.target.id] if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) else []


def _defined(scope: ast.AST) -> Iterator[ast.AST]:
    """What is defined or assigned in a scope, not what is within definitions of that scope."""
    for node in ast.iter_child_nodes(scope):
        if _names(node):
            yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield from _defined(node)


@functools.cache
def parse(source: str) -> ast.AST | None:
    """An expression, or a statement; None if there is none."""
    body = ast.parse(source).body
    if len(body) > 1:
        raise ValueError(f"the pattern {source!r} has {len(body)} statements; it must have at most one.")
    return None if not body else body[0].value if isinstance(body[0], ast.Expr) else body[0]


def metavariables(tree: ast.AST | None) -> set[str]:
    """The names in a pattern that stand for expressions."""
    nodes = ast.walk(tree) if tree is not None else ()
    return {node.id for node in nodes if isinstance(node, ast.Name) and _METAVARIABLE.fullmatch(node.id)}


def match(pattern: Any, node: Any, found: Found) -> bool:
    """Whether a pattern fits; what its metavariables stand for is put into `found`."""
    if isinstance(pattern, ast.Name) and _METAVARIABLE.fullmatch(pattern.id):
        if not isinstance(node, ast.expr):
            return False
        return pattern.id == "_" or match(found.setdefault(pattern.id, node), node, {})
    if type(pattern) is not type(node):
        return False
    if isinstance(pattern, list):
        return _match_list(pattern, node, found)
    if isinstance(pattern, ast.Call):
        return match(pattern.func, node.func, found) and _match_arguments(pattern, node, found)
    if isinstance(pattern, ast.AST):
        fields = set(pattern._fields) - _LAYOUT
        return all(match(getattr(pattern, name, None), getattr(node, name, None), found) for name in sorted(fields))
    return pattern == node


def _match_list(pattern: list[Any], nodes: list[Any], found: Found) -> bool:
    for n, part in enumerate(pattern):
        if _is_rest(part):
            after = len(nodes) - (len(pattern) - n - 1)
            found["..."] = nodes[n:after]
            return after >= n and _match_list(pattern[n + 1 :], nodes[after:], found)
        if n >= len(nodes) or not match(part, nodes[n], found):
            return False
    return len(pattern) == len(nodes)


def _is_rest(node: Any) -> bool:
    """Whether it is the statement `...`."""
    return isinstance(node, ast.Expr) and _is_ellipsis(node.value)


def _is_ellipsis(node: Any) -> bool:
    return isinstance(node, ast.Constant) and node.value is ...


def _match_arguments(pattern: ast.Call, node: ast.Call, found: Found) -> bool:
    """Positional arguments in order, keyword arguments in any."""
    some = list(itertools.takewhile(lambda arg: not _is_ellipsis(arg), pattern.args))
    keywords = {keyword.arg: keyword for keyword in node.keywords}
    for keyword in pattern.keywords:
        other = keywords.pop(keyword.arg, None)
        if other is None or not match(keyword.value, other.value, found):
            return False
    if len(some) == len(pattern.args):
        return not keywords and match(pattern.args, node.args, found)
    found["...arguments"] = node.args[len(some) :], list(keywords.values())
    return len(node.args) >= len(some) and match(some, node.args[: len(some)], found)


class _Substitution(ast.NodeTransformer):
    def __init__(self, found: Found):
        self.found = found

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return copy.deepcopy(self.found.get(node.id, node))

    def visit_Expr(self, node: ast.Expr) -> Any:
        return copy.deepcopy(self.found["..."]) if _is_rest(node) else self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        some = list(itertools.takewhile(lambda arg: not _is_ellipsis(arg), node.args))
        rest = self.found["...arguments"] if len(some) < len(node.args) else ([], [])
        node.args = some
        self.generic_visit(node)
        node.args, node.keywords = [*node.args, *rest[0]], [*node.keywords, *rest[1]]
        return node


def substitute(pattern: ast.AST, found: Found) -> ast.AST:
    """A copy of the pattern, with what its metavariables stand for."""
    return _Substitution(found).visit(copy.deepcopy(pattern))
