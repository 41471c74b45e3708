# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
import logging
from types import SimpleNamespace
from typing import Any, cast

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import Mesh

from grpo_jax.models import update_attention_choice
from grpo_jax.models.kernel_attention import UpdateAttention
from grpo_jax.models.update_attention_choice import choose_update_attention, kernel_fault
from grpo_jax.records import ConfigError
from tests.fakes.tiny_model import tiny_architecture

ARCH = tiny_architecture(head_size=64)
SLIDING = tiny_architecture(head_size=64, sliding_window=100, sliding_layers=(True, False))


class FakeDevice:
    """What the choice asks of a device, for chips that are not here."""

    def __init__(self, platform: str, kind: str, platform_version: str = "", compute_capability: str = ""):
        self.platform, self.device_kind, self.compute_capability = platform, kind, compute_capability
        self.client = SimpleNamespace(platform_version=platform_version)


def mesh_of(platform: str, kind: str, **attributes: Any) -> Mesh:
    device = FakeDevice(platform, kind, **attributes)
    return cast(Mesh, SimpleNamespace(local_devices=[device], size=1))


H100 = mesh_of("gpu", "NVIDIA H100", platform_version="PJRT C API\ncuda 13000", compute_capability="9.0")
A100 = mesh_of("gpu", "NVIDIA A100", platform_version="PJRT C API\ncuda 13000", compute_capability="8.0")
V5E = mesh_of("tpu", "TPU v5 lite")
OBSTACLES = [
    (mesh_of("cpu", "cpu"), ARCH, jnp.float32, "platform cpu has no kernel"),
    (H100, ARCH, jnp.float32, "cuDNN has no attention in float32; it takes model.dtype=bfloat16"),
    (
        A100,
        tiny_architecture(head_size=256),
        jnp.bfloat16,
        "head size 256 is above 128 or no multiple of 8, which cuDNN wants on this GPU",
    ),
    (V5E, tiny_architecture(head_size=80), jnp.bfloat16, "head size 80 is not one of 64, 128, 256"),
    (V5E, SLIDING, jnp.bfloat16, "the sliding window of 100 tokens is below the 101 of the longest row"),
]


def logged(caplog) -> list[str]:
    return [record.getMessage() for record in caplog.records if "update attention" in record.getMessage()]


@pytest.mark.parametrize(("mesh", "arch", "dtype", "why"), OBSTACLES)
def test_auto_takes_xla_with_one_line_and_pallas_is_an_error(mesh, arch, dtype, why, caplog):
    caplog.set_level(logging.INFO)
    assert choose_update_attention("auto", arch, mesh, dtype, 101) == UpdateAttention("xla")
    assert logged(caplog) == [f"update attention: xla (model.attention=auto, {why})"]
    on_cpu = mesh.local_devices[0].platform == "cpu"
    assert [record.levelname for record in caplog.records] == ["INFO" if on_cpu else "WARNING"]
    with pytest.raises(ConfigError) as raised:
        choose_update_attention("pallas", arch, mesh, dtype, 101)
    wanted = f"model.attention=pallas cannot be had in the update: {why}; set model.attention=auto or xla"
    assert str(raised.value) == wanted


@pytest.mark.parametrize(("mesh", "path", "name"), [(H100, "gpu", "cuDNN"), (V5E, "tpu", "splash on tpu")])
@pytest.mark.parametrize("requested", ["auto", "pallas"])
def test_a_kernel_that_passes_its_check_is_taken(requested, mesh, path, name, caplog, monkeypatch):
    monkeypatch.setattr(update_attention_choice, "kernel_fault", lambda *_: None)
    caplog.set_level(logging.INFO)
    # A window that no row is longer than hides nothing.
    assert choose_update_attention(requested, SLIDING, mesh, jnp.bfloat16, 100) == UpdateAttention(path, mesh)
    kind = mesh.local_devices[0].device_kind
    assert logged(caplog) == [f"update attention: {name} (model.attention={requested}, {kind}, head size 64)"]


def test_xla_is_taken_where_it_is_asked_for(caplog):
    caplog.set_level(logging.INFO)
    assert choose_update_attention("xla", ARCH, H100, jnp.bfloat16, 8).path == "xla"
    assert logged(caplog) == ["update attention: xla (model.attention=xla)"]


def test_a_kernel_that_fails_on_the_device_is_not_taken(caplog):
    caplog.set_level(logging.INFO)
    # The stand-in is no device of JAX, so that the check cannot run on it.
    assert choose_update_attention("auto", ARCH, H100, jnp.bfloat16, 8).path == "xla"
    (line,) = logged(caplog)
    assert line.startswith("update attention: xla (model.attention=auto, the kernel fails on NVIDIA H100: ")
    with pytest.raises(ConfigError, match="cannot be had in the update: the kernel fails on NVIDIA H100"):
        choose_update_attention("pallas", ARCH, H100, jnp.bfloat16, 8)


def test_a_kernel_without_its_device_fails_the_check():
    fault = kernel_fault(UpdateAttention("gpu"), jax.devices()[0], 2, 64, "bfloat16")
    assert fault is not None
    assert fault.startswith("the kernel fails on cpu: ")


@pytest.mark.slow
def test_the_check_passes_a_right_kernel_and_fails_a_wrong_one(monkeypatch):
    splash = UpdateAttention("tpu", interpret=True)
    assert kernel_fault(splash, jax.devices()[0], 2, 64, "bfloat16") is None
    right = update_attention_choice.attend_lines_by_kernel

    def one_segment(how, q, k, v, segments, *rest):
        return right(how, q, k, v, None, *rest)

    monkeypatch.setattr(update_attention_choice, "attend_lines_by_kernel", one_segment)
    kernel_fault.cache_clear()
    fault = kernel_fault(splash, jax.devices()[0], 2, 64, "bfloat16")
    kernel_fault.cache_clear()
    assert fault is not None
    assert fault.startswith("the kernel is wrong by ")
