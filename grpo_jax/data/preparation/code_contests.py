# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Contest problems with tests in the shapes of CodeContests, Codeforces, LeetCode, TACO, APPS and LiveCodeBench.

| raw tests | becomes |
| --- | --- |
| `tests: {inputs, outputs}`; with `fn_name` the inputs are argument lists | `stdin`; `calls` |
| `tests: [{input, output}, ...]`; with `testtype: functional` an input is arguments, one a line | the same |
| `tests: {functional: "def check(candidate): ..."}` | `asserts` (`functional_checks.py`) |
| `public_tests`, `private_tests`, `generated_tests`: `{input, output}` | `stdin` |
| `input_output: {inputs, outputs}` beside `question` | as `tests` |

Any of these may be stored as JSON text. Where the statement promises a tolerance for numbers, the ground truth has it.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from grpo_jax.data.preparation.functional_checks import functional_truth
from grpo_jax.data.preparation.row_building import UnusableRowError, parsed_json, problem_row, required_text
from grpo_jax.data.rows import Row
from grpo_jax.records import ConfigError

_PUBLISHED = ("public_tests", "private_tests", "generated_tests")
_PREAMBLE = "Please solve the programming task below using a self-contained code snippet in a markdown code block."
_CODE_BLOCK = re.compile(r"```(?:python)?[ \t]*\n(.*?)```", re.DOTALL)
_TOLERANCE = re.compile(
    r"(?:absolute|relative)[^.\n]{0,40}error[^\n]{0,120}?(?:10\s*\^?\s*\{?\s*[-−–]\s*(\d+)|1e-(\d+)|(0\.0+1)\b)"
)
_DIFFICULTIES = {"easy": 1.0, "medium": 2.0, "medium_hard": 3.0, "hard": 4.0, "very_hard": 5.0}
_LEVELS = {"introductory": 1.0, "interview": 2.0, "competition": 3.0}


def is_raw(row: Row) -> bool:
    """Whether a row has the fields of one of the shapes above."""
    return any(
        fields <= set(row)
        for fields in ({"problem", "tests"}, {"description", _PUBLISHED[0]}, {"question", "input_output"})
    )


def convert_row(row: Row, split: str, index: int, where: str) -> dict[str, Any]:
    """Convert one raw row; the ground truth is of kind `stdin`, `calls`, `asserts` or `check`.

    The statement stays as it is, but for the one sentence of instructions that the LeetCode files put before it.

    Args:
        row: The raw row.
        split: Split that it belongs to.
        index: Its number there.
        where: File and line, for messages.

    Raises:
        ConfigError: A field is missing or of the wrong kind; `UnusableRowError` where the row has no test.
    """
    text = required_text(row, ("problem", "description", "question"), where).removeprefix(_PREAMBLE).strip()
    starter = row.get("starter_code")
    if not isinstance(starter, str) or not starter.strip():
        block = _CODE_BLOCK.search(text)
        starter = block.group(1) if block else ""
    elif starter.strip() not in text:
        text = f"{text}\n\n```python\n{starter.strip()}\n```"
    truth = _truth(row, starter.strip(), where)
    if truth["kind"] == "stdin" and (found := _TOLERANCE.search(text)):
        power = found.group(1) or found.group(2)
        truth["tolerance"] = 10.0 ** -int(power) if power else float(found.group(3))
    if starter.strip():
        truth["starter_code"] = starter.strip()
    extra = {
        "split": split,
        "index": index,
        "id": row.get("name") or row.get("id"),
        "time_limit_seconds": _time_limit(row, text),
        "reference_solution": _reference(row, where),
    }
    return problem_row(text, "deepmind/code_contests", "code", truth, extra, _difficulty(row))


def _truth(row: Row, starter: str, where: str) -> dict[str, Any]:
    if any(name in row for name in _PUBLISHED):
        parts = [parsed_json(row[name], name, where) for name in _PUBLISHED if row.get(name)]
        inputs = [item for part in parts for item in part.get("input") or ()]
        outputs = [item for part in parts for item in part.get("output") or ()]
        return _cases(inputs, outputs, None, where)
    field = "tests" if "tests" in row else "input_output"
    tests = parsed_json(row[field], field, where)
    if isinstance(tests, list) and all(isinstance(test, Mapping) for test in tests):
        return _pairs(tests, row, where)
    if isinstance(tests, Mapping) and isinstance(tests.get("functional"), str):
        return functional_truth(tests["functional"], starter, where)
    if isinstance(tests, Mapping) and isinstance(tests.get("inputs"), list):
        return _cases(tests["inputs"], tests.get("outputs"), tests.get("fn_name"), where)
    raise ConfigError(f"{where}: field {field} is neither inputs and outputs, nor input/output pairs, nor functional")


def _pairs(tests: Sequence[Mapping[str, Any]], row: Row, where: str) -> dict[str, Any]:
    inputs, outputs = [test.get("input") for test in tests], [test.get("output") for test in tests]
    if not any(test.get("testtype") == "functional" for test in tests):
        return _cases(inputs, outputs, None, where)
    metadata = parsed_json(row.get("metadata") or tests[0].get("metadata") or {}, "metadata", where)
    name = metadata.get("func_name")
    if not isinstance(name, str):
        raise ConfigError(f"{where}: functional tests need the function's name in metadata.func_name")
    arguments = [[parsed_json(line, "tests", where) for line in str(one).splitlines()] for one in inputs]
    return _cases(arguments, [parsed_json(one, "tests", where) for one in outputs], name, where)


def _cases(inputs: Any, outputs: Any, entry_point: str | None, where: str) -> dict[str, Any]:
    """Tests of kind `calls` where there is a function to call, else of kind `stdin`."""
    if not isinstance(outputs, list) or len(inputs) != len(outputs):
        raise ConfigError(f"{where}: tests have {len(inputs)} inputs but not as many outputs")
    if not inputs:
        raise UnusableRowError(f"{where}: field tests holds no test")
    if entry_point is None:
        streams = [[_stream(item, where) for item in side] for side in (inputs, outputs)]
        return {"kind": "stdin", "inputs": streams[0], "outputs": streams[1]}
    arguments = [parsed_json(item, "tests", where) for item in inputs]
    if not all(isinstance(item, list) for item in arguments):
        raise ConfigError(f"{where}: tests of function {entry_point} must have a list of arguments as each input")
    return {"kind": "calls", "entry_point": entry_point, "inputs": arguments, "outputs": outputs}


def _stream(value: Any, where: str) -> str:
    """What a program reads or writes; some publishers keep it as a list of lines."""
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        return "\n".join(value)
    if not isinstance(value, str):
        raise ConfigError(f"{where}: inputs and outputs of a test must be text, got {type(value).__name__}")
    return value


def _difficulty(row: Row) -> float | None:
    """Codeforces' rating, else APPS' or TACO's grade in words; None where the row has neither."""
    rating, grade = row.get("cf_rating"), row.get("difficulty")
    if isinstance(rating, int | float) and rating > 0:
        return float(rating)
    return {**_DIFFICULTIES, **_LEVELS}.get(grade.lower()) if isinstance(grade, str) else None


def _time_limit(row: Row, text: str) -> float | None:
    limit = row.get("time_limit")
    if isinstance(limit, Mapping):
        return float(limit.get("seconds") or 0) + float(limit.get("nanos") or 0) / 1e9
    found = re.search(r"Time Limit: \{'seconds': (\d+), 'nanos': (\d+)\}", text)
    if found:
        return int(found.group(1)) + int(found.group(2)) / 1e9
    found = re.search(r"Time Limit: (\d+) ms", text)
    return int(found.group(1)) / 1000 if found else None


def _reference(row: Row, where: str) -> str | None:
    """A published solution in Python 3; None where there is none."""
    solutions = row.get("solutions")
    if isinstance(solutions, str) and solutions.lstrip().startswith("["):
        solutions = parsed_json(solutions, "solutions", where)
    if isinstance(solutions, str):
        return solutions
    if isinstance(solutions, Mapping):  # languages and texts in step, 3 is Python 3
        pairs = zip(solutions.get("language") or (), solutions.get("solution") or (), strict=False)
        return next((text for language, text in pairs if language == 3), None)
    return next((item for item in solutions if isinstance(item, str)), None) if isinstance(solutions, list) else None
