# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Runs test code in a process of its own; every call of the solution goes to the other process as plain data.

The verdict is written with the nonce of the job, which the solution's process never sees.
"""

import builtins
import json
import os
from typing import Any

from grpo_jax.rewards.sandbox.inside import frames, plain_data, solution_runner


class UnsupportedError(BaseException):
    """The tests hand over what is not plain data; not an `Exception`, so that no test catches it by accident."""


class RemoteError(Exception):
    """The solution raised something that is no built-in exception."""


class _Remote:
    """Stands for a function of the solution in the tests."""

    def __init__(self, entry: str, requests: int, replies: int) -> None:
        self._entry, self._requests, self._replies = entry, requests, replies

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        try:
            request = {"arguments": plain_data.encode(arguments), "named": plain_data.encode(named)}
            for encoded in request.values():
                plain_data.decode(encoded)  # refuses what is opaque
        except plain_data.NotPlainError as error:
            raise UnsupportedError(str(error)) from error
        frames.write(self._requests, {"entry": self._entry, **request})
        reply = frames.read(self._replies)
        if isinstance(reply, dict) and "value" in reply:
            return plain_data.decode(reply["value"])
        name = reply.get("raised") if isinstance(reply, dict) else None
        kind = getattr(builtins, name, None) if isinstance(name, str) else None
        if isinstance(kind, type) and issubclass(kind, Exception):
            raise kind(str(reply.get("message", "")))
        raise RemoteError(str(name)[:100])


def _passes(program: str, namespace: dict[str, Any]) -> bool:
    try:
        exec(compile(program, "test", "exec"), namespace)
    except (UnsupportedError, frames.ClosedError):
        raise
    except BaseException:  # noqa: BLE001 however a test fails, it has failed
        return False
    return True


def _namespace(sources: list[str]) -> dict[str, Any]:
    namespace: dict[str, Any] = {"__name__": "tests"}
    try:
        for source in sources:
            exec(compile(solution_runner.completed(source), "tests", "exec"), namespace)
    except Exception as error:
        raise UnsupportedError(f"the tests' own code raises {type(error).__name__}: {error}") from error
    return namespace


def run(job: dict[str, Any], result: int, requests: int, replies: int) -> None:
    """Run the programs one after another and write {"nonce", "solution", "passed", "unsupported"}; does not return."""
    report: dict[str, Any] = {"nonce": job["nonce"], "solution": "lost", "passed": [], "unsupported": None}
    try:
        namespace = _namespace(job["before"])
        namespace |= {name: _Remote(entry, requests, replies) for name, entry in job["remotes"].items()}
        loaded = frames.read(replies)
        report["solution"] = next(iter(loaded), "lost") if isinstance(loaded, dict) else "lost"
        if report["solution"] == "loaded":
            for program in job["programs"]:
                report["passed"].append(_passes(program, namespace))
    except UnsupportedError as error:
        report["unsupported"] = str(error)[:200]
    except (frames.ClosedError, OSError):
        report["solution"] = "lost"
    os.write(result, json.dumps(report).encode() + b"\n")
    os._exit(0)
