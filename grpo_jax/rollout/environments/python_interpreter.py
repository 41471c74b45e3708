# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Think, run, read, answer: code of a reply runs in the sandbox, and the policy reads what it printed.

A reply's code is its last fenced block of Python, or a call of the tool `python`. Every run starts from nothing. A
reply without code is the answer, which the domain's rewards judge.
"""

import asyncio
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, cast

from grpo_jax.config import RunConfig
from grpo_jax.records import Message, Problem, RolloutEnd
from grpo_jax.rewards.calls.call_syntax import read_calls
from grpo_jax.rewards.calls.python_calls import CallSyntaxError
from grpo_jax.rewards.pool import num_slots
from grpo_jax.rewards.sandbox.inside.limits import MEBIBYTE, Limits
from grpo_jax.rewards.sandbox.selection import select_backend
from grpo_jax.rewards.sandbox.supervisor import Backend, Execution, Sandbox, SandboxError
from grpo_jax.rollout.trajectory import Generate, LimitError, Outcome, Turn

TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "python",
        "description": "Runs a Python program and returns what it prints. Every run starts from nothing.",
        "parameters": {
            "type": "object",
            "properties": {"code": {"type": "string", "description": "The program."}},
            "required": ["code"],
        },
    },
}
_FENCE = re.compile(r"```(?:python|py)[ \t]*\n(.*?)```", re.DOTALL)
_WRAPPED = """import sys, traceback
try:
    exec(compile({source!r}, "program", "exec"), {{"__name__": "__main__"}})
except SystemExit:
    pass
except BaseException as error:
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == "program"]
    where = f"line {{frames[-1].lineno}}: " if frames else ""
    print(f"{{where}}{{type(error).__name__}}: {{error}}")
"""


class PythonInterpreter:
    """The rollout function; keeps `workers` sandboxes until it is closed."""

    def __init__(
        self,
        config: RunConfig,
        *,
        style: Literal["fence", "tool"] = "fence",
        workers: int | None = None,
        cpu_seconds: float = 1.0,
        wall_seconds: float = 4.0,
        memory_megabytes: int = 512,
        max_output_characters: int = 1_000,
    ):
        """Choose the sandbox; each starts when it is first needed.

        Args:
            config: Its `rewards` section says which sandbox.
            style: Whether code comes in fences, its output as a user's message, or by a tool of the chat template.
            workers: Programs that run at once; None is as many as rewards have workers.
            cpu_seconds: Processor time of a program.
            wall_seconds: Wall time of a program.
            memory_megabytes: Address space of a program.
            max_output_characters: Of what it prints; the middle of more is left out.

        Raises:
            ConfigError: No sandbox works on this host.
        """
        self._backend: Backend = cast(
            Backend, select_backend(config.rewards.sandbox, config.rewards.run_unconfined_code)
        )
        self._style, self._max_output = style, max_output_characters
        self._limits = Limits(cpu_seconds, wall_seconds, memory_megabytes * MEBIBYTE)
        # A sandbox is bound to the thread that started it.
        slots = num_slots(config.rewards) if workers is None else workers
        self._threads = ThreadPoolExecutor(slots, thread_name_prefix="python-interpreter")
        self._own, self._sandboxes = threading.local(), list[Sandbox]()

    async def __call__(self, problem: Problem, generate: Generate) -> Outcome:
        """Let the policy run programs until it answers without one."""
        messages: list[Message] = [*problem.messages]
        tools = [TOOL] if self._style == "tool" else None
        turn: Turn | None = None
        runs = errors = 0
        end = RolloutEnd.DONE
        while True:
            try:
                turn = await generate(messages, after=turn, tools=tools)
            except LimitError as limit:
                if turn is None:
                    raise
                end = limit.end
                break
            source = self._code(turn.text)
            if source is None:
                break
            # How long it waits for a sandbox is up to the others, and a program has limits of its own.
            with generate.clock:
                output, failed = await asyncio.get_running_loop().run_in_executor(self._threads, self.run, source)
            runs, errors = runs + 1, errors + failed
            if self._style == "tool":
                messages = [{"role": "tool", "name": "python", "content": output}]
            else:
                messages = [{"role": "user", "content": f"```output\n{output}\n```"}]
        return Outcome(turn, detail={"programs_run": runs, "programs_failed": errors}, end=end)

    def run(self, source: str) -> tuple[str, bool]:
        """What a program prints, with the message of its error, and whether it failed; blocks until it has ended."""
        if not hasattr(self._own, "sandbox"):
            self._own.sandbox = Sandbox(self._backend)
            self._sandboxes.append(self._own.sandbox)
        execution = Execution("program", {"prompt": "", "solution": _WRAPPED.format(source=source)})
        try:
            (ended,) = self._own.sandbox.run([execution], self._limits)
        except SandboxError as error:
            return f"the program took the sandbox down: {error}", True
        text = ended.stdout.decode(errors="replace").strip()
        if ended.stopped_by is not None:
            text += f"\n[stopped: over its {ended.stopped_by} time]"
        elif ended.status:
            text += f"\n[ended with status {ended.status}]"
        failed = bool(ended.stopped_by) or bool(ended.status) or bool(re.search(r"\w+(Error|Exception): ", text))
        half = self._max_output // 2
        if len(text) > self._max_output:
            text = f"{text[:half]}\n...\n{text[-half:]}"
        return text.strip() or "[no output]", failed

    def close(self) -> None:
        """Kill the sandboxes; safe to repeat."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        for sandbox in self._sandboxes:
            sandbox.close()
        self._sandboxes.clear()

    def _code(self, text: str) -> str | None:
        if self._style == "fence":
            found = _FENCE.findall(text)
            return found[-1] if found else None
        try:
            calls = read_calls(text, {"python"})
        except CallSyntaxError as error:
            return f"raise SyntaxError({f'the call cannot be read: {error}'!r})"
        sources = [call.arguments.get("code") for call in calls if call.name == "python"]
        return sources[-1] if sources and isinstance(sources[-1], str) else None
