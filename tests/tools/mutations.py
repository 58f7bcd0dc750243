"""Which small changes of a source file a test should notice.

    comparisons      < becomes <= and >=, == becomes !=, `is` becomes `is not`, `in` becomes `not in`
    conditions       of if, while, `x if c else y` and comprehensions: c becomes not c
    logic            `and` becomes `or`, `not x` becomes x, True becomes False
    arithmetic       + becomes -, * becomes /, // becomes *; also in +=
    numbers          0 becomes 1, 1 becomes 0, -1 becomes 1
    extremes         min becomes max, any becomes all, numpy's minimum becomes maximum
    returns          `return x` becomes `return None`
    calls            a call whose result is not used is deleted

and the other way round. Log calls, `__repr__`, annotations, decorators, assertions and f-strings stay.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_OPERATORS: dict[type[ast.AST], tuple[type[Any], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.And: (ast.Or,),
    ast.Or: (ast.And,),
    ast.Add: (ast.Sub,),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Div,),
    ast.Div: (ast.Mult,),
    ast.FloorDiv: (ast.Mult,),
}
_NAMES = {"min": "max", "any": "all", "minimum": "maximum"}
_NAMES |= {after: before for before, after in _NAMES.items()}

_LOGGERS = {"_log", "log", "logger", "logging"}

_KEPT = (ast.JoinedStr, ast.Assert, ast.Import, ast.ImportFrom)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_KEPT_FIELDS = {"annotation", "returns", "decorator_list"}


@dataclass(frozen=True, slots=True)
class Mutation:
    """A change of one place in a source text.

    Attributes
    ----------
    line, last_line : int
        Of the place, from 1.
    start, end : int
        Of the place, in bytes.
    before, after : str
    inside : bool
        It lies in a function, which only some tests run.
    """

    line: int
    last_line: int
    start: int
    end: int
    before: str
    after: str
    inside: bool

    def apply(self, source: bytes) -> bytes:
        """Return the changed text."""
        return source[: self.start] + self.after.encode() + source[self.end :]


def mutations(source: bytes) -> Iterator[Mutation]:
    """Yield all changes of a file."""
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    for node, changed, inside in _walk(ast.parse(source), inside=False):
        start = starts[node.lineno - 1] + node.col_offset
        end = starts[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)
        text = ast.unparse(changed)
        after = f"({text})" if isinstance(changed, ast.expr) else text
        last = node.end_lineno or node.lineno
        yield Mutation(node.lineno, last, start, end, ast.unparse(node), after, inside)


Place = ast.expr | ast.stmt


def _walk(node: ast.AST, inside: bool) -> Iterator[tuple[Place, Place, bool]]:
    """Yield places below a node, what to write there, and whether they are inside of a function."""
    if isinstance(node, ast.expr | ast.stmt):
        for changed in _changes(node):
            yield node, changed, inside
    condition = getattr(node, "test", None)
    for field, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST) or field in _KEPT_FIELDS or _stays(child):
                continue
            if (child is condition or field == "ifs") and not isinstance(child, ast.Compare | ast.UnaryOp):
                assert isinstance(child, ast.expr)
                yield child, ast.UnaryOp(ast.Not(), child), inside
            yield from _walk(child, inside or (field == "body" and isinstance(node, _FUNCTIONS)))


def _stays(node: ast.AST) -> bool:
    """Say whether nothing in a node is changed."""
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name))):
            return name in _LOGGERS
        case ast.FunctionDef(name="__repr__") | ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return True
    return isinstance(node, _KEPT)


def _changes(node: Place) -> Iterator[Place]:
    """Yield what to write in the place of a node."""
    yield from _other_operators(node)
    match node:
        case ast.UnaryOp(op=ast.Not(), operand=operand) | ast.UnaryOp(
            ast.USub(), operand=ast.Constant(1) as operand
        ):
            yield operand
        case ast.Constant(value=bool() | 0 | 1 as value):
            yield ast.Constant(not value if isinstance(value, bool) else 1 - value)
        case ast.Name(id=name) if name in _NAMES:
            yield ast.Name(_NAMES[name])
        case ast.Attribute(value=value, attr=name) if name in _NAMES:
            yield ast.Attribute(value, _NAMES[name])
        case ast.Return(value=ast.expr() as value) if not (
            isinstance(value, ast.Constant) and value.value is None
        ):
            yield ast.Return(ast.Constant(None))
        case ast.Expr(value=ast.Call() | ast.Await() as value) if not _stays(value):
            yield ast.Pass()


def _other_operators(node: Place) -> Iterator[Place]:
    match node:
        case ast.Compare(left=left, ops=ops, comparators=others):
            for number, op in enumerate(ops):
                for new in _OPERATORS.get(type(op), ()):
                    yield ast.Compare(left, [*ops[:number], new(), *ops[number + 1 :]], others)
        case ast.BoolOp(op=op, values=values):
            yield ast.BoolOp(_OPERATORS[type(op)][0](), values)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            yield ast.BinOp(left, _OPERATORS[type(op)][0](), right)
        case ast.AugAssign(target=target, op=op, value=value) if type(op) in _OPERATORS:
            yield ast.AugAssign(target, _OPERATORS[type(op)][0](), value)
