# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Reads the tests of a code problem into forms that can be judged where the solution never ran.

| ground truth | becomes |
| --- | --- |
| `{kind: asserts, tests, setup, imports, entry_point}` | an assert each (below) |
| `{kind: check, test, entry_point, prompt}` | an assert each where `check` is plain asserts, else one program |
| `{kind: stdin, inputs, outputs, tolerance}` | `StdinTest` |
| `{kind: calls, entry_point, inputs, outputs, tolerance}` | `ValueTest` |

An assert `f(arguments) == literal` is a `ValueTest`: only its left side goes to the sandbox. Any other is a
`ProgramTest`: it runs in a second sandboxed process, which calls the solution's functions by plain data. What neither
can express is `UnsupportedTestsError`.

The code parsed here is the data set's, never a model's.
"""

import ast
import builtins
import symtable
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

_CANDIDATE = "candidate"
_BUILTINS = frozenset(dir(builtins))


class UnsupportedTestsError(ValueError):
    """The ground truth is not a code problem's, or its tests need more than plain data from the solution."""


@dataclass(frozen=True, slots=True)
class ValueTest:
    """One value of the solution and what it must be.

    Attributes:
        request: An expression, or {"entry", "arguments"} with arguments as tagged JSON.
        relation: `equal` to `expected`, the very same (`is`), or `json`: equality of what was read from JSON, which has
            no tuples.
        expected: Stays outside the sandbox.
    """

    request: str | dict[str, Any]
    relation: Literal["equal", "is", "json"]
    expected: Any


@dataclass(frozen=True, slots=True)
class ProgramTest:
    """Test code that passes when it does not raise; calls the solution through the names in `CodeTests.remotes`."""

    source: str


@dataclass(frozen=True, slots=True)
class StdinTest:
    """What a script reads and must print."""

    stdin: str
    stdout: str


CodeTest = ValueTest | ProgramTest | StdinTest


@dataclass(frozen=True, slots=True)
class CodeTests:
    """All tests of a problem and what they need around them.

    Attributes:
        tests: In the order of the data set.
        before: Code that runs before the solution.
        prompt: Beginning of a function that the solution may continue; empty otherwise.
        after: Code that runs after the solution, in its process.
        around_programs: Code that runs before `ProgramTest`s, in theirs.
        remotes: Names in `ProgramTest`s and the solution's expressions behind them.
        tolerance: Relative and absolute, for numbers; 0 wants them equal.
    """

    tests: tuple[CodeTest, ...]
    before: tuple[str, ...] = ()
    prompt: str = ""
    after: str = ""
    around_programs: tuple[str, ...] = ()
    remotes: Mapping[str, str] = field(default_factory=dict)
    tolerance: float = 0.0


def unsupported_reason(ground_truth: Any) -> str | None:
    """Why a problem's tests cannot be used, for filtering at loading; None where they can."""
    try:
        read_tests(ground_truth)
    except UnsupportedTestsError as error:
        return str(error)
    return None


def read_tests(ground_truth: Any) -> CodeTests:
    """Read a ground truth of the forms above.

    Raises:
        UnsupportedTestsError: It is of no such form, or its tests cannot be judged from outside.
    """
    readers = {"asserts": _read_asserts, "check": _read_check, "stdin": _read_stdin, "calls": _read_calls}
    kind = ground_truth.get("kind") if isinstance(ground_truth, Mapping) else None
    if kind not in readers:
        raise UnsupportedTestsError(f"ground_truth of kind {kind!r}; code rewards know {', '.join(readers)}")
    try:
        tests = readers[kind](ground_truth)
    except (KeyError, TypeError, SyntaxError) as error:
        raise UnsupportedTestsError(f"ground_truth of kind {kind!r}: {type(error).__name__}: {error}") from error
    if not tests.tests:
        raise UnsupportedTestsError("ground_truth has no test")
    return tests


def _read_stdin(truth: Mapping[str, Any]) -> CodeTests:
    pairs = zip(truth["inputs"], truth["outputs"], strict=True)
    tests = tuple(StdinTest(str(stdin), str(stdout)) for stdin, stdout in pairs)
    return CodeTests(tests, tolerance=float(truth.get("tolerance") or 0.0))


def _read_calls(truth: Mapping[str, Any]) -> CodeTests:
    from grpo_jax.rewards.sandbox.inside.plain_data import encode

    entry = truth["entry_point"]
    pairs = zip(truth["inputs"], truth["outputs"], strict=True)
    tests = tuple(
        ValueTest({"entry": entry, "arguments": encode(list(arguments))}, "json", expected)
        for arguments, expected in pairs
    )
    return CodeTests(tests, tuple(truth.get("imports") or ()), tolerance=float(truth.get("tolerance") or 0.0))


def _read_asserts(truth: Mapping[str, Any]) -> CodeTests:
    imports, setup, entry = tuple(truth.get("imports") or ()), truth.get("setup") or "", truth.get("entry_point")
    own = _bound_names(["\n".join(imports)])
    reader = _AssertReader(entry, own)
    tests = tuple(reader.read(source.strip()) for source in truth["tests"])
    if reader.remotes and (_free_names(setup) - own - _BUILTINS or "class " in setup):
        raise UnsupportedTestsError("the set-up uses the solution and a test cannot be sent as one expression")
    return CodeTests(tests, imports, "", setup, (*imports, setup), reader.remotes, float(truth.get("tolerance") or 0.0))


def _read_check(truth: Mapping[str, Any]) -> CodeTests:
    entry, prompt, source = truth["entry_point"], truth.get("prompt") or "", truth["test"]
    statements = ast.parse(source).body
    match [item for item in statements if isinstance(item, ast.FunctionDef) and item.name == "check"]:
        case [ast.FunctionDef(args=ast.arguments(args=[ast.arg(parameter)])) as check]:
            pass
        case _:
            raise UnsupportedTestsError("the test code must define check with one parameter")
    body = [item for item in check.body if not _is_idle(item)]
    others = [item for item in statements if item is not check and not _is_idle(item)]
    if body and not others and all(isinstance(item, ast.Assert) for item in body):
        reader = _AssertReader(entry, frozenset(), parameter)
        tests = [reader.read(ast.unparse(item)) for item in body]
        if not reader.remotes:
            return CodeTests(tuple(tests), prompt=prompt)
    _refuse_callables(check, parameter)
    return CodeTests(
        (ProgramTest(f"check({_CANDIDATE})"),),
        prompt=prompt,
        around_programs=(prompt, source),
        remotes={_CANDIDATE: entry},
    )


def _is_idle(statement: ast.stmt) -> bool:
    """Whether a statement tests nothing: a docstring, `assert True`, `pass`, METADATA = {...}."""
    match statement:
        case ast.Expr(ast.Constant()) | ast.Pass() | ast.Assert(ast.Constant(True)):
            return True
        case ast.Assign([ast.Name("METADATA")]):
            return True
    return False


def _refuse_callables(node: ast.AST, function: str) -> None:
    """Refuse tests whose calls of a function hand over functions, which no pipe carries."""
    for call in ast.walk(node):
        match call:
            case ast.Call(ast.Name(name), arguments) if name == function:
                if any(isinstance(part, ast.Lambda) for argument in arguments for part in ast.walk(argument)):
                    raise UnsupportedTestsError("a test hands a function to the solution")


class _AssertReader:
    """Turns asserts into tests and collects the solution's names that programs call."""

    def __init__(self, entry: str | None, own: frozenset[str], parameter: str | None = None) -> None:
        self._entry = None if entry is None else ast.unparse(ast.parse(entry, mode="eval"))
        self._own = own
        self._parameter = parameter
        self.remotes: dict[str, str] = {}

    def read(self, source: str) -> CodeTest:
        """Read one assert, or other test code.

        Raises:
            UnsupportedTestsError: It uses a name of the solution in another way than calling it.
        """
        tree = ast.parse(source)
        if self._parameter is not None:
            tree = _Rename(self._parameter, ast.parse(self._entry or "", mode="eval").body).visit(tree)
        match tree.body:
            case [ast.Assert(condition)] if (found := self._value_test(condition)) is not None:
                return found
        return self._program_test(ast.fix_missing_locations(tree))

    def _value_test(self, test: ast.expr) -> ValueTest | None:
        match test:
            case ast.Compare(left, [ast.Eq() | ast.Is() as operator], [right]):
                for claim, literal in ((left, right), (right, left)):
                    value = _literal(literal)
                    if value is not None and self._is_of_solution(claim):
                        relation = "is" if isinstance(operator, ast.Is) else "equal"
                        return ValueTest(ast.unparse(claim), relation, value[0])
            case ast.UnaryOp(ast.Not(), operand) if self._is_of_solution(operand):
                return ValueTest(f"bool({ast.unparse(operand)})", "is", False)
            case ast.Call() if self._is_direct_call(test):
                return ValueTest(f"bool({ast.unparse(test)})", "is", True)
        return None

    def _is_of_solution(self, node: ast.expr) -> bool:
        """Whether an expression is a call of the solution, or a view of one that leaves the value to be known.

        A helper of two arguments could be a comparison with the expected value, which must not enter the sandbox.
        """
        match node:
            case ast.Call(ast.Name("round"), [inner, *_], []):
                return self._is_of_solution(inner)
            case ast.Call() if self._is_direct_call(node):
                return True
            case ast.Call(ast.Name() | ast.Attribute(ast.Name()), [inner], []):
                return self._is_of_solution(inner)
            case ast.Subscript(inner, index) if _literal(index) is not None or isinstance(index, ast.Slice):
                return self._is_of_solution(inner)
            case ast.Attribute(inner) | ast.Call(ast.Attribute(inner), [], []):
                return self._is_of_solution(inner)
        return False

    def _is_direct_call(self, node: ast.Call) -> bool:
        if self._entry is not None:
            return ast.unparse(node.func) == self._entry
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        return bool(name) and name not in self._own and name not in _BUILTINS

    def _program_test(self, tree: ast.Module) -> ProgramTest:
        if self._entry is not None and not self._entry.isidentifier():
            tree = _Fold(self._entry).visit(tree)
            self.remotes[_CANDIDATE] = self._entry
        names = _free_names(ast.unparse(tree)) - _BUILTINS - self._own - {_CANDIDATE}
        for name in names:
            uses = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == name]
            calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
            if not all(any(use is function for function in calls) for use in uses):
                raise UnsupportedTestsError(f"a test uses {name} in another way than calling it")
            _refuse_callables(tree, name)
            self.remotes[name] = name
        return ProgramTest(ast.unparse(ast.fix_missing_locations(tree)))


class _Rename(ast.NodeTransformer):
    """Writes out the candidate behind a parameter's name."""

    def __init__(self, parameter: str, candidate: ast.expr) -> None:
        self._parameter, self._candidate = parameter, candidate

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self._candidate if node.id == self._parameter else node


class _Fold(ast.NodeTransformer):
    """Writes `candidate` for an expression such as `Solution().method`."""

    def __init__(self, expression: str) -> None:
        self._expression = expression

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        if ast.unparse(node) == self._expression:
            return ast.Name(_CANDIDATE, ast.Load())
        self.generic_visit(node)
        return node


def _literal(node: ast.expr) -> tuple[Any] | None:
    """The value of a literal (`set([...])` and `float('inf')` among them) in a tuple; None for other expressions."""
    match node:
        case ast.Call(ast.Name("set" | "frozenset" | "tuple" | "list" | "dict" | "sorted" as name), [inner], []):
            value = _literal(inner)
            return None if value is None else (getattr(builtins, name)(value[0]),)
        case ast.Call(ast.Name("float"), [ast.Constant(str(text))], []):
            return (float(text),)
    try:
        return (ast.literal_eval(node),)
    except (ValueError, TypeError, RecursionError):
        return None


def _bound_names(sources: Sequence[str]) -> frozenset[str]:
    """Names that module code binds; a star import binds what the standard library's module says."""
    import importlib
    import sys

    names: set[str] = set()
    for statement in (item for source in sources for item in ast.parse(source).body):
        match statement:
            case ast.ImportFrom(str(module), [ast.alias("*")]) if module.partition(".")[0] in sys.stdlib_module_names:
                found = importlib.import_module(module)
                names.update(getattr(found, "__all__", [name for name in dir(found) if not name.startswith("_")]))
            case ast.Import(aliases) | ast.ImportFrom(_, aliases):
                names.update(alias.asname or alias.name.partition(".")[0] for alias in aliases)
            case ast.FunctionDef(name) | ast.ClassDef(name):
                names.add(name)
            case ast.Assign(targets):
                names.update(target.id for target in targets if isinstance(target, ast.Name))
    return frozenset(names)


def _free_names(source: str) -> frozenset[str]:
    """Names that code uses and does not bind itself."""
    table = symtable.symtable(source, "test", "exec")
    bound = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_assigned() or symbol.is_imported()}
    used: set[str] = set()
    tables = [table]
    while tables:
        scope = tables.pop()
        tables += scope.get_children()
        used |= {symbol.get_name() for symbol in scope.get_symbols() if symbol.is_referenced() and symbol.is_global()}
    return frozenset(used - bound)
