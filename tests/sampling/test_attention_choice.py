# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
import logging
from types import SimpleNamespace
from typing import Any, cast

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import Mesh

from grpo_jax.config import ParallelConfig
from grpo_jax.models import kernel_choice
from grpo_jax.parallel.mesh import make_mesh
from grpo_jax.records import ConfigError
from grpo_jax.sampling import attention_choice
from grpo_jax.sampling.attention_choice import choose_decode_attention, kernel_fault
from grpo_jax.sampling.ragged_attention import DecodeAttention, ragged_kernel
from tests.fakes.tiny_model import tiny_architecture

ARCH = tiny_architecture(head_size=64)


class FakeDevice:
    """What the choice asks of a device, for chips that are not here."""

    def __init__(self, platform: str, kind: str, **attributes: Any):
        self.platform, self.device_kind = platform, kind
        self.client = SimpleNamespace(platform_version=attributes.pop("platform_version", ""))
        for name, value in attributes.items():
            setattr(self, name, value)


def mesh_of(device: FakeDevice) -> Mesh:
    return cast(Mesh, SimpleNamespace(local_devices=[device]))


H100 = FakeDevice("gpu", "NVIDIA H100", platform_version="PJRT C API\ncuda 13000", compute_capability="9.0")
V5E = FakeDevice("tpu", "TPU v5 lite")
OBSTACLES = [
    (FakeDevice("cpu", "cpu"), ARCH, "platform cpu has no kernel"),
    (FakeDevice("gpu", "AMD MI300", platform_version="rocm 70000"), ARCH, "AMD MI300 is not an NVIDIA GPU"),
    (
        FakeDevice("gpu", "NVIDIA V100", platform_version="cuda 12", compute_capability="7.0"),
        ARCH,
        "NVIDIA V100 has compute capability 7.0, below 8.0",
    ),
    (H100, tiny_architecture(head_size=80), "head size 80 is not one of 64, 128, 256"),
]


def logged(caplog) -> list[str]:
    return [record.getMessage() for record in caplog.records if "decode attention" in record.getMessage()]


@pytest.mark.parametrize(("device", "arch", "why"), OBSTACLES)
def test_auto_falls_back_with_one_line_that_says_why(device, arch, why, caplog):
    caplog.set_level(logging.INFO)
    assert choose_decode_attention("auto", arch, mesh_of(device), jnp.float32, 32) == DecodeAttention("xla")
    assert logged(caplog) == [f"decode attention: xla (model.attention=auto, {why})"]
    assert [record.levelname for record in caplog.records] == ["INFO" if device.platform == "cpu" else "WARNING"]


def test_caches_that_a_tpu_would_copy_take_xla(caplog):
    caplog.set_level(logging.INFO)
    assert choose_decode_attention("auto", ARCH, mesh_of(V5E), jnp.float32, 24).path == "xla"
    assert logged(caplog) == [
        "decode attention: xla (model.attention=auto, sampling.chunk_tokens=24 is not a multiple of 16)"
    ]


@pytest.mark.parametrize(("device", "arch", "why"), OBSTACLES)
def test_pallas_that_cannot_be_had_is_an_error_of_one_line(device, arch, why):
    with pytest.raises(ConfigError) as raised:
        choose_decode_attention("pallas", arch, mesh_of(device), jnp.float32, 32)
    assert str(raised.value) == f"model.attention=pallas cannot be had: {why}; set model.attention=auto or xla"


@pytest.mark.parametrize(("device", "path"), [(H100, "gpu"), (V5E, "tpu")])
@pytest.mark.parametrize("requested", ["auto", "pallas"])
def test_a_kernel_that_passes_its_check_is_taken(requested, device, path, caplog, monkeypatch):
    monkeypatch.setattr(attention_choice, "kernel_fault", lambda *_: None)
    caplog.set_level(logging.INFO)
    assert choose_decode_attention(requested, ARCH, mesh_of(device), jnp.bfloat16, 32) == DecodeAttention(path)
    kind = device.device_kind
    assert logged(caplog) == [f"decode attention: pallas on {path} (model.attention={requested}, {kind}, head size 64)"]


def test_xla_is_taken_where_it_is_asked_for(caplog):
    caplog.set_level(logging.INFO)
    assert choose_decode_attention("xla", ARCH, mesh_of(H100), jnp.float32, 32) == DecodeAttention("xla")
    assert logged(caplog) == ["decode attention: xla (model.attention=xla)"]


def test_a_kernel_that_fails_on_the_device_is_not_taken(caplog):
    caplog.set_level(logging.INFO)
    # The stand-in is no device of JAX, so that the check cannot run on it.
    assert choose_decode_attention("auto", ARCH, mesh_of(V5E), jnp.float32, 32) == DecodeAttention("xla")
    (line,) = logged(caplog)
    assert line.startswith("decode attention: xla (model.attention=auto, the kernel fails on TPU v5 lite: ")
    with pytest.raises(ConfigError, match="cannot be had: the kernel fails on TPU v5 lite") as raised:
        choose_decode_attention("pallas", ARCH, mesh_of(V5E), jnp.float32, 32)
    assert "\n" not in str(raised.value)


def test_a_real_mesh_of_cpus_takes_xla():
    mesh = make_mesh(ParallelConfig(2, 1, 2), jax.devices()[:4])
    assert choose_decode_attention("auto", ARCH, mesh, jnp.float32, 32).path == "xla"


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("path", ["gpu", "tpu"])
def test_a_correct_kernel_passes_the_check(path, dtype):
    assert kernel_fault(DecodeAttention(path, interpret=True), jax.devices()[0], 2, 64, dtype) is None


def test_a_kernel_without_its_device_fails_the_check():
    fault = kernel_fault(DecodeAttention("tpu"), jax.devices()[0], 2, 64, "float32")
    assert fault is not None
    assert fault.startswith("the kernel fails on cpu: ")


@pytest.mark.parametrize("wrong", ["off_by_one", "nan"])
def test_a_kernel_with_wrong_answers_fails_the_check(wrong, monkeypatch):
    right = ragged_kernel(DecodeAttention("gpu", interpret=True))

    def broken(q, k, v, start, length):
        if wrong == "nan":
            return right(q, k, v, start, length)._replace(out=jnp.full(q.shape, jnp.nan))
        return right(q, k, v, start, length - 1)

    monkeypatch.setattr(attention_choice, "ragged_kernel", lambda how: broken)
    kernel_fault.cache_clear()
    fault = kernel_fault(DecodeAttention("gpu", interpret=True), jax.devices()[0], 2, 64, "bfloat16")
    kernel_fault.cache_clear()
    assert fault is not None
    assert fault.startswith("the kernel is wrong by ")


def test_a_kernel_that_is_wrong_on_one_process_is_taken_by_none(monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(attention_choice, "kernel_fault", lambda *args: None)
    monkeypatch.setattr(kernel_choice, "exchange", lambda own: [own, "the kernel is wrong by 3 on process 1"])
    assert choose_decode_attention("auto", ARCH, mesh_of(H100), jnp.float32, 32) == DecodeAttention("xla")
    assert logged(caplog) == ["decode attention: xla (model.attention=auto, the kernel is wrong by 3 on process 1)"]
