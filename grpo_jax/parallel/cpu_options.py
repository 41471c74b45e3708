# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""How XLA compiles programs for a CPU where its defaults leave cores idle."""

import functools
import logging
import os

import jax
from jax.sharding import Mesh

logger = logging.getLogger(__name__)

_FUSIONS = "xla_cpu_experimental_ynn_fusion_type"
_WHOLE_ATTENTION = {_FUSIONS: ",".join(f"LIBRARY_FUSION_TYPE_{part}" for part in ("DOT", "ELTWISE", "REDUCE"))}
"""Lets YNNPACK take the scores of attention together with what follows them, on all cores. By default it gets single
products, and those of few queries with many keys run on one core: decode of 64 samples of 512 tokens takes 1.5 times
as long."""


def decode_options(mesh: Mesh) -> dict[str, str] | None:
    """Compiler options for programs of few queries and many keys.

    None where XLA's defaults are best, where XLA_FLAGS decides, and, with a line in the log, where this JAX has none.
    """
    if mesh.devices.flat[0].platform != "cpu" or _FUSIONS in os.environ.get("XLA_FLAGS", "") or not _known():
        return None
    return _WHOLE_ATTENTION


@functools.cache
def _known() -> bool:
    """Whether this JAX has the options, which are experimental."""
    try:
        jax.jit(lambda value: value, compiler_options=_WHOLE_ATTENTION).lower(0.0).compile()
    except jax.errors.JaxRuntimeError as error:
        logger.info("decode attention on one core: this JAX has no option for more (%s)", str(error).splitlines()[0])
        return False
    return True
