# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Writing adapters as a folder that `peft` (and vLLM with `--enable-lora`) loads on top of the base model."""

import json
import shutil
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from grpo_jax.model_config import LoraConfig
from grpo_jax.models.architecture import Architecture
from grpo_jax.models.families.registry import weight_names
from grpo_jax.models.lora import A_SUFFIX, B_SUFFIX
from grpo_jax.models.transformer import Params
from grpo_jax.parallel.processes import is_main
from grpo_jax.parallel.transfer import fetch


def export_peft(folder: str | Path, arch: Architecture, adapters: Params, config: LoraConfig, base: str) -> None:
    """Write adapter_config.json and adapter_model.safetensors (float32).

    Args:
        folder: Where to; an earlier export there is replaced.
        arch: Of the base model.
        adapters: As `models.lora.adapters_of` nests them.
        config: Rank, scale and targets.
        base: Path or hub name of the base model, for the reader's information.

    Every process of a run calls it; the first one writes.
    """
    held = fetch({name: leaf for name, leaf in adapters["layers"].items()})
    if not is_main():
        return
    target = Path(folder)
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    names = {weight.path[-1]: weight for weight in weight_names(arch)}
    tensors: dict[str, np.ndarray] = {}
    for name in config.targets:
        a = np.asarray(held[name + A_SUFFIX], np.float32)
        b = np.asarray(held[name + B_SUFFIX], np.float32)
        for layer in range(arch.num_layers):
            module = "base_model.model." + names[name].name(layer).removesuffix(".weight")
            # PyTorch keeps linear layers as [outputs, inputs]; heads are flattened.
            tensors[f"{module}.lora_A.weight"] = np.ascontiguousarray(a[layer].reshape(-1, config.rank).T)
            tensors[f"{module}.lora_B.weight"] = np.ascontiguousarray(b[layer].reshape(config.rank, -1).T)
    save_file(tensors, target / "adapter_model.safetensors", metadata={"format": "pt"})
    modules = [names[name].name(0).removesuffix(".weight").rpartition(".")[2] for name in config.targets]
    described = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "r": config.rank,
        "lora_alpha": config.alpha,
        "use_rslora": config.rank_stabilized,
        "lora_dropout": 0.0,
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "target_modules": modules,
    }
    (target / "adapter_config.json").write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")
