"""Small changes of a syntax tree, each of which tests should notice."""

import ast
from collections.abc import Iterator
from typing import Any, NamedTuple

SWAPS: dict[type, type] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.And: ast.Or, ast.Or: ast.And,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult, ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
}  # fmt: skip
GUARDS = ("strict", "frozen", "prefer_skip_nested_validation")
NOTHING = ("return", "return None")
NEGATING = ast.Eq | ast.NotEq | ast.Is | ast.IsNot | ast.In | ast.NotIn


class Mutation(NamedTuple):
    """One change of a tree: ``holder[key]``, a part of ``parent``, becomes ``new``."""

    parent: Any
    holder: Any
    key: Any
    new: ast.AST

    def text(self) -> str:
        """Return the smallest part of the source that shows the change."""
        is_sign = type(self.new) in SWAPS
        return ast.unparse(self.parent if is_sign else self.holder[self.key])

    def swap(self, node: ast.AST) -> Any:
        """Put a node there, and return the one that stood there."""
        old, self.holder[self.key] = self.holder[self.key], node
        return old


def mutations(parent: ast.AST) -> Iterator[Mutation]:
    """Find all changes below a node, in the order of the source."""
    if isinstance(parent, ast.keyword) and parent.arg in GUARDS:
        return  # they guard, and change no result
    for field, value in ast.iter_fields(parent):
        if field in ("annotation", "returns"):
            continue
        holder = value if isinstance(value, list) else vars(parent)
        for key in range(len(value)) if isinstance(value, list) else [field]:
            node = holder[key]
            if isinstance(node, ast.AST):
                for new in changed(node, is_condition=field in ("test", "ifs")):
                    yield Mutation(parent, holder, key, ast.copy_location(new, node))
                yield from mutations(node)


def changed(node: ast.AST, *, is_condition: bool) -> Iterator[ast.AST]:
    """Build what may replace a node."""
    if type(node) in SWAPS:
        yield SWAPS[type(node)]()
    value = node.value if isinstance(node, ast.Constant) else None
    if isinstance(value, int | float):
        yield ast.Constant(not value if isinstance(value, bool) else value + 1)
    if isinstance(node, ast.UnaryOp) and not isinstance(node.operand, ast.Constant):
        yield node.operand
    elif is_condition and not isinstance(getattr(node, "ops", [0])[0], NEGATING):
        yield ast.UnaryOp(ast.Not(), node)
    if isinstance(node, ast.Return) and ast.unparse(node) not in NOTHING:
        yield ast.Return(ast.Constant(None))
    if is_removable(node):
        yield ast.Pass()


def is_removable(node: ast.AST) -> bool:
    """Return whether a statement can be left out without undefined names."""
    if isinstance(node, ast.Assign):
        return not isinstance(node.targets[0], ast.Name | ast.Tuple)
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Call)
    return isinstance(node, ast.AugAssign | ast.Raise | ast.Continue | ast.Break)
