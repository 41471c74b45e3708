# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Runs a solution and reports plain values. Nothing here knows what the right values are.

The solution shares this interpreter and may change any of it; all it can gain is to report a value, and the reader
takes every report for a claim of the solution's.
"""

import atexit
import json
import os
import sys
import threading
import types
from typing import Any

from grpo_jax.rewards.sandbox.inside import frames, plain_data

_COMPILE_ERRORS = (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError)


class UnparsableError(Exception):
    """The solution is not Python."""


def _module(name: str) -> dict[str, Any]:
    module = types.ModuleType(name)
    sys.modules[name] = module  # dataclasses, pickle and typing look a class's module up there
    return module.__dict__


def completed(prompt: str) -> str:
    """A prompt that ends in the head of a function, made whole, so that its imports and helpers can be run."""
    try:
        compile(prompt, "prompt", "exec")
        return prompt
    except SyntaxError:
        last = prompt.rstrip().rsplit("\n", 1)[-1]
        return f"{prompt.rstrip()}\n{' ' * (len(last) - len(last.lstrip()) + 4)}pass\n"


def _compiled(job: dict[str, Any], name: str) -> types.CodeType:
    """The solution's code; with a prompt it may also be the rest of the function that the prompt begins."""
    try:
        return compile(job["solution"], name, "exec")
    except _COMPILE_ERRORS as error:
        first = error
    if job["prompt"]:
        try:
            return compile(job["prompt"] + job["solution"], name, "exec")
        except _COMPILE_ERRORS:
            pass
    raise UnparsableError(type(first).__name__)


def _load(job: dict[str, Any]) -> dict[str, Any]:
    """Run imports, prompt, solution and set-up, in this order, and return the namespace."""
    namespace = _module("solution")
    for source in job["before"]:
        exec(compile(source, "imports", "exec"), namespace)
    code = _compiled(job, "solution")
    if job["prompt"]:
        exec(compile(completed(job["prompt"]), "prompt", "exec"), namespace)
    exec(code, namespace)
    if job["after"]:
        exec(compile(job["after"], "setup", "exec"), namespace)
    return namespace


def _entry(namespace: dict[str, Any], name: str) -> Any:
    """The function of this name, or the method of a fresh `Solution`; other expressions are evaluated."""
    if name not in namespace and name.isidentifier() and "Solution" in namespace:
        return getattr(namespace["Solution"](), name)
    return eval(compile(name, "entry", "eval"), namespace)


def _value(namespace: dict[str, Any], item: Any) -> Any:
    if isinstance(item, str):
        return plain_data.encode(eval(compile(item, "test", "eval"), namespace))
    return plain_data.encode(_entry(namespace, item["entry"])(*plain_data.decode(item["arguments"])))


def report_values(job: dict[str, Any], result: int) -> None:
    """Evaluate expressions and calls in turn, one report a line, written as soon as it is there.

    Lines are {"loaded": true} or {"unparsable"/"raised": name}, then [index, value]; a test that raises has no line.
    """

    def report(line: Any) -> None:
        os.write(result, json.dumps(line).encode() + b"\n")

    try:
        namespace = _load(job)
    except UnparsableError as error:
        report({"unparsable": str(error)})
        os._exit(1)
    except BaseException as error:  # noqa: BLE001 whatever a solution raises is its own failure
        report({"raised": type(error).__name__})
        os._exit(1)
    report({"loaded": True})
    for index, item in enumerate(job["tests"]):
        try:
            report([index, _value(namespace, item)])
        except BaseException:  # noqa: BLE001
            if job["stop_at_failure"]:
                break
    os._exit(0)


def run_program(job: dict[str, Any], result: int) -> None:
    """Run the solution as a script on its standard streams, and end with its exit status."""
    status = 0
    try:
        code = _compiled(job, "solution.py")
    except UnparsableError as error:
        os.write(result, json.dumps({"unparsable": str(error)}).encode() + b"\n")
        os._exit(1)
    try:
        exec(code, _module("__main__"))
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:  # noqa: BLE001
        status = 1
    try:
        threading._shutdown()  # pyright: ignore[reportAttributeAccessIssue]  wait for its threads, as Python's end does
        atexit._run_exitfuncs()
        sys.stdout.flush()
    except BaseException:  # noqa: BLE001
        status = status or 1
    os._exit(status & 0xFF)


def serve_calls(job: dict[str, Any], requests: int, replies: int) -> None:
    """Answer calls from the tests process: {"entry", "arguments", "named"} -> {"value"} or {"raised", "message"}."""
    try:
        namespace = _load(job)
    except UnparsableError as error:
        frames.write(replies, {"unparsable": str(error)})
        os._exit(1)
    except BaseException as error:  # noqa: BLE001
        frames.write(replies, {"raised": type(error).__name__})
        os._exit(1)
    frames.write(replies, {"loaded": True})
    while True:
        try:
            request = frames.read(requests)
        except frames.ClosedError:
            os._exit(0)
        try:
            arguments, named = plain_data.decode(request["arguments"]), plain_data.decode(request["named"])
            reply = {"value": plain_data.encode(_entry(namespace, request["entry"])(*arguments, **named))}
        except BaseException as error:  # noqa: BLE001
            reply = {"raised": type(error).__name__, "message": str(error)[:500]}
        frames.write(replies, reply)
