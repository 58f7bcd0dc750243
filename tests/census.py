"""Counts what a program holds on to."""

import gc
import types
from collections import Counter
from typing import Any

_NOT_HELD = (
    type,
    types.ModuleType,
    types.FunctionType,
    types.BuiltinFunctionType,
    types.CodeType,
    types.FrameType,
)


def census(*roots: Any) -> Counter[str]:
    """Count all objects that can be reached from some, by the names of their types.

    Classes, modules and functions, and what is only reached through them, are left out: they do not come and
    go with what a program works on.
    """
    gc.collect()
    seen: set[int] = set()
    found: Counter[str] = Counter()
    waiting = list(roots)
    while waiting:
        each = waiting.pop()
        if id(each) in seen or isinstance(each, _NOT_HELD):
            continue
        seen.add(id(each))
        found[type(each).__name__] += 1
        waiting += gc.get_referents(each)
    return found


def more(before: Counter[str], after: Counter[str], allowed: int = 0) -> dict[str, int]:
    """Say of which types there are more than before, and by how many."""
    return {name: count - before[name] for name, count in after.items() if count - before[name] > allowed}
