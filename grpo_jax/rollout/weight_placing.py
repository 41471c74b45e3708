# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Where each parameter of a model goes as it is read: of all of it, a host reads what its own devices hold."""

import functools
from typing import Any

import jax
from jax.sharding import Mesh

from grpo_jax.models.families.assembly import Readable
from grpo_jax.models.matrix_product import NUM_OUTPUTS
from grpo_jax.models.quantization import Quantization, quantized
from grpo_jax.parallel.rules import param_shardings
from grpo_jax.parallel.transfer import place_parts


class Placer:
    """Puts one parameter on the mesh by the logical names of its dims; each host reads what its devices hold."""

    def __init__(self, mesh: Mesh):
        self._mesh = mesh

    def __call__(self, array: Readable, dims: tuple[str, ...], path: tuple[str, ...]) -> Any:
        """The parameter on the mesh, float32; arguments as in `families.assembly.Place`."""
        sharding = param_shardings(self._mesh, {"weight": array}, {"weight": dims})["weight"]
        return place_parts(array, sharding)


class FrozenPlacer(Placer):
    """Narrows each array to what is kept of a frozen weight: as it is read, or on the mesh, one after another."""

    def __init__(self, mesh: Mesh, shardings: Any, dtype: Any, kind: Quantization | None):
        super().__init__(mesh)
        self._shardings, self._dtype, self._kind = shardings, dtype, kind

    def __call__(self, array: Readable, dims: tuple[str, ...], path: tuple[str, ...]) -> Any:
        """What is kept of the parameter, on the mesh."""
        name, sharding = path[-1], functools.reduce(lambda tree, key: tree[key], path, self._shardings)
        if self._kind is None or path[0] != "layers" or name not in NUM_OUTPUTS:
            return super().__call__(array.astype(self._dtype), dims, path)
        narrow = jax.jit(quantized, static_argnums=(1, 2), out_shardings=sharding)
        # Waited for, or the next float32 array would come while this one is still read.
        return jax.block_until_ready(narrow(super().__call__(array, dims, path), NUM_OUTPUTS[name], self._kind))
