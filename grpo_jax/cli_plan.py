# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""What `grpo-jax plan` prints: every derived size of a run and its memory, from config and shapes alone."""

import io

import jax
from jax.sharding import AbstractMesh
from rich.console import Console
from rich.table import Table

from grpo_jax.checkpoint.pretrained import load_published
from grpo_jax.checkpoint.reasoning import with_reasoning_vocabulary
from grpo_jax.config import RunConfig
from grpo_jax.parallel.device_memory import GIBIBYTE, device_bytes
from grpo_jax.parallel.mesh import AXIS_NAMES, mesh_sizes, rollout_mesh_sizes
from grpo_jax.training.memory_plan import MemoryPlan, plan_memory, verdict


def describe_plan(config: RunConfig, num_devices: int | None, memory_gib: float | None) -> str:
    """The report as text.

    Args:
        config: The run; its model's config is read, never its weights.
        num_devices: Devices to plan for; None takes those of this host.
        memory_gib: Memory of one of them in GiB; None asks this host's.

    Raises:
        ConfigError: The model cannot be found, or the mesh does not fit the devices.
    """
    arch = with_reasoning_vocabulary(load_published(config.model.path), config.model).architecture
    sizes = mesh_sizes(config.parallel, num_devices or len(jax.devices()))
    limit = device_bytes() if memory_gib is None else int(memory_gib * GIBIBYTE)
    sampling = rollout_mesh_sizes(config.parallel, num_devices or len(jax.devices()))
    plan = plan_memory(config, arch, AbstractMesh(sizes, AXIS_NAMES), limit, AbstractMesh(sampling, AXIS_NAMES))
    console = Console(file=io.StringIO(), width=100, no_color=True)
    console.print(_sizes_table(config, plan, sizes, sampling))
    console.print(_memory_table(plan, limit))
    console.print(verdict(config, plan, limit), soft_wrap=True)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return text.rstrip()


def _sizes_table(config: RunConfig, plan: MemoryPlan, mesh: tuple[int, ...], rollout_mesh: tuple[int, ...]) -> Table:
    table = Table(title="sizes", title_justify="left", show_header=False)
    training, prompts, group = config.training, config.data.prompts_per_step, config.sampling.group_size
    steps = training.max_steps
    rows = plan.rows
    for name, value in {
        "model": f"{plan.num_parameters / 1e6:,.1f} M parameters, {plan.num_trained / 1e6:,.2f} M trained",
        "mesh": _axes(mesh),
        **({"mesh of sampling": _axes(rollout_mesh)} if plan.apart else {}),
        "prompts a step": f"{prompts}",
        "completions a step": f"{prompts} x {group} = {prompts * group}",
        "updates a step": f"{training.minibatches} minibatches x {training.epochs} epochs",
        "steps": f"{steps}" if steps is not None else f"{training.num_train_epochs} epochs of the training problems",
        "completions a run": f"{steps * prompts * group:,}" if steps is not None else "known once the data is read",
        "prompts an update": f"{-(-prompts // training.minibatches)}",
        "longest microbatch": (
            f"{rows.rows} rows a device of [{rows.prompt_tokens} prompt + {rows.responses} x {rows.response_tokens} "
            f"completion tokens], {plan.num_microbatches} an update"
        ),
        "sampled at once": f"{plan.slots} prompts x {plan.lanes} samples",
    }.items():
        table.add_row(name, value)
    return table


def _axes(mesh: tuple[int, ...]) -> str:
    return ", ".join(f"{name} {size}" for name, size in zip(AXIS_NAMES, mesh, strict=True))


def _memory_table(plan: MemoryPlan, limit: int) -> Table:
    table = Table(title="memory of a device", title_justify="left")
    table.add_column("held")
    table.add_column("for")
    table.add_column("GiB", justify="right")
    for when, items in (("always", plan.state), ("sampling", plan.sampling), ("learning", plan.update)):
        for name, size in items.items():
            table.add_row(when, name, f"{size / GIBIBYTE:.3f}")
    state = sum(plan.state.values())
    table.add_section()
    sampling = (0 if plan.apart else state) + sum(plan.sampling.values())
    table.add_row("peak", "while sampling", f"{sampling / GIBIBYTE:.3f}")
    table.add_row("peak", "while learning", f"{(state + sum(plan.update.values())) / GIBIBYTE:.3f}")
    table.add_row("there is", "", f"{limit / GIBIBYTE:.3f}")
    if plan.host:
        table.add_row("host", "moments", f"{plan.host / GIBIBYTE:.3f}")
    return table
