# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Simulated services: objects whose public methods are functions that the policy may call.

Each has a state that a problem's initial configuration sets and that can be compared: two services are in the same
state where `state()` is equal.
"""

import importlib
import inspect
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

READY = {
    "GorillaFileSystem": "grpo_jax.rollout.environments.services.file_system:FileSystem",
    "MathAPI": "grpo_jax.rollout.environments.services.calculator:Calculator",
    "TicketAPI": "grpo_jax.rollout.environments.services.tickets:Tickets",
}
"""Name in the Berkeley Function-Calling Leaderboard -> own implementation of what its documents describe."""


class CallError(Exception):
    """The service refuses a call; the policy reads the message."""


class Service(Protocol):
    """What a simulated service is: made with its initial configuration, called by method, compared by state."""

    def state(self) -> Any:
        """All that calls can change, as values that compare."""
        ...


class Services:
    """The services of one problem, called by the names of their functions."""

    def __init__(self, initial: Mapping[str, Any], classes: Mapping[str, str]):
        """Make each service.

        Args:
            initial: Service name -> its initial configuration.
            classes: Service name -> `module:class`.

        Raises:
            ValueError: A service has no implementation.
        """
        self._services: dict[str, Any] = {}
        self._functions: dict[str, Any] = {}
        for name, config in initial.items():
            if name not in classes:
                raise ValueError(f"service {name} has no implementation; those there are: {', '.join(classes)}")
            module, _, attribute = classes[name].partition(":")
            service = getattr(importlib.import_module(module), attribute)(config or {})
            self._services[name] = service
            for method, function in inspect.getmembers(service, inspect.ismethod):
                if not method.startswith("_") and method != "state":
                    self._functions[method] = function

    def call(self, name: str, arguments: Mapping[str, Any]) -> Any:
        """The result of one call, JSON values; {"error": message} where it is refused."""
        function = self._functions.get(name)
        if function is None:
            return {"error": f"there is no function {name}"}
        try:
            inspect.signature(function).bind(**arguments)
        except TypeError as error:
            return {"error": f"{name}: {error}"}
        try:
            return function(**arguments)
        except CallError as error:
            return {"error": str(error)}
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            # Arguments of wrong kinds are the policy's mistake.
            return {"error": f"{name}: {type(error).__name__}: {error}"}

    def call_positional(self, name: str, positional: Sequence[Any], named: Mapping[str, Any]) -> Any:
        """The same for a reference call, whose first arguments may come without names."""
        function = self._functions.get(name)
        if function is None:
            return {"error": f"there is no function {name}"}
        names = list(inspect.signature(function).parameters)
        return self.call(name, {**dict(zip(names, positional, strict=False)), **named})

    def state(self) -> dict[str, Any]:
        """State of every service."""
        return {name: service.state() for name, service in self._services.items()}
