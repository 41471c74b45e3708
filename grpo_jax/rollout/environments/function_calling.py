# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Function calling in the terms of the Berkeley Function-Calling Leaderboard, with tools by the chat template.

    single, parallel    one turn; the domain's rewards (`function_calls`) judge the calls in it
    multi-turn          a user's turn after another; the policy calls functions of simulated services, reads what they
                        return, calls again, and ends the user's turn by a reply without a call

A multi-turn user's turn is right where the services' state after it is that of the reference calls, and what these
returned is among what the policy's calls returned since the turn before. The reward is the share of right turns, or
with `all_turns` 1 where all are.

The chat template writes the tools and their results, so calls come as the model's family writes them (Qwen's
`<tool_call>`, Llama's JSON with `parameters`, Python); `rewards/calls/call_syntax.py` reads all.
"""

import ast
import json
from collections.abc import Mapping, Sequence
from typing import Any

from grpo_jax.records import Message, Problem, RewardStatus, RolloutEnd
from grpo_jax.rewards.calls.call_syntax import read_calls
from grpo_jax.rewards.calls.python_calls import CallSyntaxError
from grpo_jax.rollout.environments.services.service import READY, Services
from grpo_jax.rollout.trajectory import Generate, LimitError, Outcome, Turn

_LISTED = "\n\nFunctions:\n"
"""Where a prepared prompt lists its functions; the template says them instead."""
_TYPES = {"dict": "object", "float": "number", "tuple": "array", "any": "string"}


class FunctionCalling:
    """The rollout function."""

    def __init__(self, *, services: Mapping[str, str] | None = None, calls: int = 16, all_turns: bool = False):
        """Name the services.

        Args:
            services: Further ones, service name -> `module:class` (see `services/service.py`).
            calls: Calls that are answered in one user's turn; after them it ends.
            all_turns: Reward only where every turn is right.
        """
        self._classes = {**READY, **(services or {})}
        self._calls, self._all_turns = calls, all_turns

    async def __call__(self, problem: Problem, generate: Generate) -> Outcome:
        """Have the policy call functions until the user has nothing more to say."""
        functions = problem.ground_truth["functions"]
        tools = [as_tool(function) for function in functions]
        messages = without_listing(problem.messages)
        initial = json.loads(problem.extra.get("initial_config") or "null")
        if initial is None:
            return Outcome(await generate(messages, tools=tools))
        return await self._multi_turn(problem, generate, messages, tools, initial)

    async def _multi_turn(
        self,
        problem: Problem,
        generate: Generate,
        messages: Sequence[Message],
        tools: Sequence[Mapping[str, Any]],
        initial: Mapping[str, Any],
    ) -> Outcome:
        references = [
            [_first_values(call) for call in problem.ground_truth["calls"]],
            *([_parsed(text) for text in turn] for turn in json.loads(problem.extra["later_calls"])),
        ]
        users = [list(messages), *json.loads(problem.extra["later_turns"])]
        names = {str(tool["function"]["name"]) for tool in tools}
        own, right = Services(initial, self._classes), Services(initial, self._classes)
        turn: Turn | None = None
        scores: list[float] = []
        end = RolloutEnd.DONE
        for said, reference in zip(users, references, strict=True):
            returned: list[Any] = []
            expected = [right.call_positional(name, positional, named) for name, positional, named in reference]
            try:
                while True:
                    turn = await generate(said, after=turn, tools=tools if turn is None else None)
                    said = self._answers(turn.text, names, own, returned)
                    if not said or len(returned) >= self._calls:
                        break
            except LimitError as limit:
                if turn is None:
                    raise
                end = limit.end
            scores.append(float(own.state() == right.state() and all(value in returned for value in expected)))
            if end is not RolloutEnd.DONE:
                break
        assert turn is not None
        share = sum(scores) / len(users)
        passed = share == 1.0
        return Outcome(
            turn,
            reward=float(passed) if self._all_turns else share,
            parts={"right_turns": share, "user_turns": float(len(scores))},
            status=RewardStatus.PASS if passed else RewardStatus.FAIL,
            end=end,
        )

    def _answers(self, text: str, names: set[str], services: Services, returned: list[Any]) -> list[Message]:
        """Messages with what a reply's calls return; none where it makes no call."""
        try:
            calls = read_calls(text, names)
        except CallSyntaxError as error:
            returned.append(None)
            return [{"role": "tool", "content": _written({"error": f"the call cannot be read: {error}"})}]
        messages: list[Message] = []
        for call in calls[: max(self._calls - len(returned), 0)]:
            result = services.call(call.name, call.arguments)
            returned.append(result)
            messages.append({"role": "tool", "name": call.name, "content": _written(result)})
        return messages


def as_tool(function: Mapping[str, Any]) -> dict[str, Any]:
    """A leaderboard's description of a function as the JSON schema that chat templates take."""
    parameters = _schema(function.get("parameters") or {"type": "object", "properties": {}})
    described = {"name": function["name"], "description": function.get("description", ""), "parameters": parameters}
    return {"type": "function", "function": described}


def without_listing(messages: Sequence[Message]) -> list[Message]:
    """The messages without the functions that preparation put behind the question."""
    return [{**message, "content": message["content"].partition(_LISTED)[0]} for message in messages]


def _written(result: Any) -> str:
    # Half of a surrogate pair, which a call can name by its escape, is no text to a tokenizer.
    return json.dumps(result, ensure_ascii=False).encode(errors="replace").decode()


def _schema(described: Any) -> Any:
    if isinstance(described, Mapping):
        made = {key: _schema(value) for key, value in described.items()}
        if isinstance(made.get("type"), str):
            made["type"] = _TYPES.get(made["type"], made["type"])
        return made
    return [_schema(value) for value in described] if isinstance(described, list) else described


def _first_values(call: Mapping[str, Any]) -> tuple[str, list[Any], dict[str, Any]]:
    """A prepared reference call with one accepted value an argument."""
    ((name, arguments),) = call.items()
    return name, [], {key: _first(values) for key, values in arguments.items()}


def _first(accepted: Any) -> Any:
    value = accepted[0]
    return {key: _first(own) for key, own in value.items()} if isinstance(value, Mapping) else value


def _parsed(text: str) -> tuple[str, list[Any], dict[str, Any]]:
    """A reference call in Python syntax."""
    match ast.parse(text, mode="eval").body:
        case ast.Call(ast.Name(name), positional, keywords):
            named = {str(word.arg): ast.literal_eval(word.value) for word in keywords}
            return name, [ast.literal_eval(value) for value in positional], named
    raise ValueError(f"reference call {text!r} is not a call of a function by name")
