# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""A trace of chosen steps by JAX's profiler: `*.xplane.pb` for TensorBoard, `perfetto_trace.json.gz` for Perfetto."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import jax

logger = logging.getLogger(__name__)


class StepProfiler:
    """Traces the wanted steps, one after another in one trace."""

    def __init__(self, folder: Path, steps: range) -> None:
        """Note what is wanted; nothing is written before its first step.

        Args:
            folder: Gets `plugins/profile/<time>/`.
            steps: To trace; a run that resumes among them traces the rest.
        """
        self._folder, self._steps, self._tracing = folder, steps, False

    @contextmanager
    def step(self, number: int) -> Iterator[None]:
        """Trace the block where the step is wanted; the trace names it."""
        if number not in self._steps:
            yield
            return
        if not self._tracing:
            jax.profiler.start_trace(self._folder, create_perfetto_trace=True)
            self._tracing = True
        with jax.profiler.StepTraceAnnotation("step", step_num=number):
            yield
        if number == self._steps[-1]:
            self.close()

    def close(self) -> None:
        """Write what was traced, if the run ends among the wanted steps."""
        if self._tracing:
            self._tracing = False
            jax.profiler.stop_trace()
            logger.info("traced steps %d to %d into %s", self._steps[0], self._steps[-1], self._folder)
