# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""LeetCode's functional checks: a `check(candidate)` of asserts, and its call on the solution's method.

Each assert becomes a test of its own with the candidate written out, so that graders can compare values where the
solution's code never runs and can give credit by test. Linked lists and trees are compared as plain lists of values.
"""

import ast
from typing import Any

from grpo_jax.data.preparation.row_building import parsed_python
from grpo_jax.records import ConfigError

_STAR_IMPORTS = "typing functools collections itertools heapq bisect string operator math".split()
IMPORTS = (
    *(f"from {module} import *" for module in _STAR_IMPORTS),
    "from builtins import abs, pow",
    "import collections, datetime, functools, heapq, itertools, math, random, re, string",
    "inf = float('inf')",
)
"""What these solutions expect to find imported, as on LeetCode's site; `pow` is Python's own, not `math`'s."""

_LIST_CODE = """\
class ListNode:
    def __init__(self, val=0, next=None):
        self.val, self.next = val, next


def list_node(values):
    head = None
    for value in reversed(values):
        head = ListNode(value, head)
    return head


def list_values(node):
    values = []
    while node is not None:
        values.append(node.val)
        node = node.next
    return values


def is_same_list(left, right):
    return list_values(left) == list_values(right)
"""

_TREE_CODE = """\
class TreeNode:
    def __init__(self, val=0, left=None, right=None):
        self.val, self.left, self.right = val, left, right


def tree_node(values):
    nodes = [None if value is None else TreeNode(value) for value in values]
    parents, children = iter(nodes), iter(nodes[1:])
    for parent in parents:
        if parent is not None:
            parent.left = next(children, None)
            parent.right = next(children, None)
    return nodes[0] if nodes else None


def tree_values(root):
    values, nodes = [], [root]
    for node in nodes:
        values.append(None if node is None else node.val)
        if node is not None:
            nodes += [node.left, node.right]
    while values and values[-1] is None:
        values.pop()
    return values


def is_same_tree(left, right):
    return tree_values(left) == tree_values(right)
"""

_HELPERS = (("ListNode", "list_node", _LIST_CODE), ("TreeNode", "tree_node", _TREE_CODE))
_SAME = {"is_same_list": ("list_node", "list_values"), "is_same_tree": ("tree_node", "tree_values")}


def functional_truth(source: str, starter: str, where: str) -> dict[str, Any]:
    """The ground truth of a functional check.

    Args:
        source: Python text: `def check(candidate): ...` and last `check(<expression>)`.
        starter: The starter code, which tells whether lists or trees of nodes are needed.
        where: File and line, for messages.

    Returns:
        `{kind: "asserts", tests, setup, imports, entry_point}`; where the body of `check` is more than asserts,
        `{kind: "check", test, entry_point, prompt}` with the imports as the prompt.

    Raises:
        ConfigError: The text is not of this form.
    """
    try:
        statements = parsed_python(source).body
    except SyntaxError as error:
        raise ConfigError(f"{where}: tests.functional is not Python: {error.msg} in line {error.lineno}") from error
    match statements:
        case [*helpers, ast.FunctionDef(name="check") as check, ast.Expr(ast.Call(ast.Name("check"), [candidate]))]:
            entry_point = ast.unparse(candidate)
        case _:
            raise ConfigError(f"{where}: tests.functional must define check(candidate) and end in its one call")
    imports = [*IMPORTS, *(code for name, maker, code in _HELPERS if name in starter or f"{maker}(" in source)]
    if helpers or not check.body or not all(isinstance(statement, ast.Assert) for statement in check.body):
        test = "\n\n".join(ast.unparse(statement) for statement in (*helpers, check))
        return {"kind": "check", "test": test, "entry_point": entry_point, "prompt": "\n".join([*imports, starter])}
    rewrite = _PlainAssert(check.args.args[0].arg, candidate)
    tests = [ast.unparse(ast.fix_missing_locations(rewrite.visit(statement))) for statement in check.body]
    return {"kind": "asserts", "tests": tests, "setup": "", "imports": imports, "entry_point": entry_point}


class _PlainAssert(ast.NodeTransformer):
    """Writes the candidate out, and turns `is_same_list(f(...), list_node([...]))` into a comparison of values."""

    def __init__(self, parameter: str, candidate: ast.expr) -> None:
        self._parameter, self._candidate = parameter, candidate

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self._candidate if node.id == self._parameter else node

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        match node:
            case ast.Call(ast.Name(same), [found, ast.Call(ast.Name(maker), [ast.List(items)])]) if (
                same in _SAME and _SAME[same][0] == maker
            ):
                while items and isinstance(items[-1], ast.Constant) and items[-1].value is None:
                    items = items[:-1]
                values = ast.Call(ast.Name(_SAME[same][1]), [found], [])
                return ast.Compare(values, [ast.Eq()], [ast.List(items, ast.Load())])
        return node
