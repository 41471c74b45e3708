# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""What each process holds and reads while a checkpoint of a 7B model is loaded onto eight devices of several processes.

The checkpoint is a sparse file that takes next to no disk: random numbers in places that the loaded arrays are checked
at, zeros between. All processes are up and joined, and load one after another, each giving its weights up before the
next one begins, so that a machine needs memory for one share instead of the whole model. A process may hold its share
of the weights and the largest tensor of the checkpoint beside it, over what it held before; more makes this exit 1.

Command: python -m benchmarks.weight_loading [--dtype bfloat16] [--processes 8]
"""

import argparse
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.process_memory import MEBIBYTE, forget_peak, process_memory

SHARDS = 4
PATCH = 512
"""Random numbers in each place."""

SIZES: dict[str, dict[str, Any]] = {
    # Qwen2.5-7B.
    "7b": {"hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28, "num_attention_heads": 28,
           "num_key_value_heads": 4, "vocab_size": 152064},
    "small": {"hidden_size": 256, "intermediate_size": 1024, "num_hidden_layers": 4, "num_attention_heads": 8,
              "num_key_value_heads": 8, "vocab_size": 4096},
}  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Write the checkpoint, load it in processes of its own, print what each took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="7b")
    parser.add_argument("--processes", type=int, choices=(1, 2, 4, 8), default=4, help="default 4")
    parser.add_argument("--mesh", default="1,8,1", help="data, fsdp and tensor (default 1,8,1)")
    parser.add_argument(
        "--dtype", choices=("float32", "bfloat16"), default="float32", help="trained in full (default), or kept frozen"
    )
    parser.add_argument("--folder", type=Path, help="where the sparse checkpoint goes (default: a temporary one)")
    parser.add_argument("--index", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.index is not None:
        _load(arguments)
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.folder or Path(scratch)
        largest = write_sparse_checkpoint(folder, SIZES[arguments.size])
        rows = _run_processes(arguments, folder)
    print("process  held before  share  peak over before  read of the files  seconds   (MiB)")
    for row in rows:
        print(
            f"{row['index']:7d}  {row['before']:11.0f}  {row['share']:5.0f}  {row['peak']:16.0f}  "
            f"{row['read']:8.0f} of {row['stored']:5.0f}  {row['seconds']:7.1f}"
        )
    over = max(row["peak"] - row["share"] for row in rows)
    print(f"most over its share: {over:.0f} MiB; largest tensor of the checkpoint: {largest / MEBIBYTE:.0f} MiB")
    return int(over * MEBIBYTE > largest)


def write_sparse_checkpoint(folder: Path, sizes: dict[str, Any]) -> int:
    """Write config and sparse bfloat16 safetensors of a Qwen2 model; returns the bytes of the largest tensor."""
    from grpo_jax.models.families.assembly import tensor_shapes
    from grpo_jax.models.families.registry import architecture

    folder.mkdir(parents=True, exist_ok=True)
    config = {"model_type": "qwen2", "tie_word_embeddings": False, "max_position_embeddings": 4096, **sizes}
    (folder / "config.json").write_text(json.dumps(config))
    shapes = tensor_shapes(architecture(config))
    names, weight_map = [*shapes], {}
    for number in range(SHARDS):
        own = names[number::SHARDS]
        ends = np.cumsum([2 * prod(shapes[name]) for name in own]).tolist()
        header = json.dumps(
            {
                name: {"dtype": "BF16", "shape": shapes[name], "data_offsets": [start, end]}
                for name, start, end in zip(own, [0, *ends], ends, strict=False)
            }
        ).encode()
        header += b" " * (-len(header) % 8)
        file = f"model-{number + 1:05d}-of-{SHARDS:05d}.safetensors"
        weight_map |= dict.fromkeys(own, file)
        with (folder / file).open("wb") as stream:
            stream.write(struct.pack("<Q", len(header)) + header)
            base = stream.tell()
            for name, start in zip(own, [0, *ends], strict=False):
                stream.seek(base + start)
                stream.write(patch(name, shapes[name]).tobytes())
            stream.truncate(base + ends[-1])
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    return max(2 * prod(shape) for shape in shapes.values())


def patch(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """The random numbers that a tensor begins with."""
    import ml_dtypes

    seed = [*name.encode()]
    return np.random.default_rng(seed).standard_normal(min(PATCH, prod(shape))).astype(ml_dtypes.bfloat16)


def _run_processes(arguments: argparse.Namespace, folder: Path) -> list[dict[str, float]]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    words = [f"--{name}={getattr(arguments, name)}" for name in ("size", "processes", "mesh", "dtype")]
    environment = os.environ | {
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={8 // arguments.processes}",
        "JAX_COORDINATOR_ADDRESS": f"127.0.0.1:{port}",
        "JAX_NUM_PROCESSES": str(arguments.processes),
    }
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "benchmarks.weight_loading", *words, f"--folder={folder}", f"--index={index}"],
            env=environment | {"JAX_PROCESS_ID": str(index)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for index in range(arguments.processes)
    ]
    shown = [process.communicate()[0] for process in started]
    if any(process.returncode for process in started):
        raise SystemExit("a process failed")
    return [json.loads(text.splitlines()[-1]) for text in shown]


def _load(arguments: argparse.Namespace) -> None:
    """One process: load in its turn, check the numbers, print a JSON line."""
    import jax

    from grpo_jax.checkpoint import hf_import, tensor_files
    from grpo_jax.config import ParallelConfig
    from grpo_jax.models.families.registry import architecture
    from grpo_jax.models.transformer import abstract_params
    from grpo_jax.parallel.mesh import make_mesh
    from grpo_jax.parallel.processes import join_processes, wait_for_all
    from grpo_jax.parallel.rules import param_shardings
    from grpo_jax.rollout.session import DTYPES
    from grpo_jax.rollout.weight_placing import FrozenPlacer, Placer

    data, fsdp, tensor = map(int, arguments.mesh.split(","))
    settings = ParallelConfig(data=data, fsdp=fsdp, tensor=tensor)
    join_processes(settings)
    mesh = make_mesh(settings)
    arch = architecture(hf_import.read_json(arguments.folder / "config.json"))
    _, shapes, names = abstract_params(arch)
    dtype = DTYPES[arguments.dtype]
    shardings = param_shardings(mesh, shapes, names)
    placer = Placer(mesh) if arguments.dtype == "float32" else FrozenPlacer(mesh, shardings, dtype, None)
    opened: list[tensor_files.TensorFile] = []

    def remembered(location: str) -> tensor_files.TensorFile:
        opened.append(tensor_files.open_tensor_file(location))
        return opened[-1]

    hf_import.open_tensor_file = remembered
    wait_for_all("ready")
    for turn in range(arguments.processes):
        if turn == jax.process_index():
            forget_peak()
            before, start = process_memory()["VmRSS"], time.perf_counter()
            with hf_import.open_model_folder(str(arguments.folder)) as folder:
                params = hf_import.read_weights(hf_import.weight_files(folder), arch, placer)
            seconds, peak = time.perf_counter() - start, process_memory()["VmHWM"]
            share = sum(shard.data.nbytes for leaf in jax.tree.leaves(params) for shard in leaf.addressable_shards)
            _check(params, arguments.dtype)
            row = {
                "index": turn,
                "before": before / MEBIBYTE,
                "share": share / MEBIBYTE,
                "peak": (peak - before) / MEBIBYTE,
                "read": sum(file.bytes_read for file in opened) / MEBIBYTE,
                "stored": sum(file.num_bytes for file in opened) / MEBIBYTE,
                "seconds": seconds,
            }
            for leaf in jax.tree.leaves(params):
                leaf.delete()
            del params
            print(json.dumps(row), flush=True)
        wait_for_all(f"turn {turn}")


def _check(params: dict[str, Any], dtype: str) -> None:
    """The patch at the start of `up_proj` of every layer, where this process holds its part, is what was written."""
    wanted_shape = params["layers"]["up"].shape
    for shard in params["layers"]["up"].addressable_shards:
        _, rows, columns = shard.index
        if (columns.start or 0) > 0:
            continue
        # Ours is the transpose: the file begins with the weights of output 0.
        found = np.asarray(shard.data[:, :, 0]).astype(np.float32)
        for layer in range(wanted_shape[0]):
            whole = np.zeros(wanted_shape[1], np.float32)
            numbers = patch(f"model.layers.{layer}.mlp.up_proj.weight", (PATCH,)).astype(np.float32)
            whole[: min(PATCH, len(whole))] = numbers[: len(whole)]
            np.testing.assert_array_equal(found[layer], whole[rows])


if __name__ == "__main__":
    sys.exit(main())
