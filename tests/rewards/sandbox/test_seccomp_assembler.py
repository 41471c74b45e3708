# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The filters, interpreted by a small BPF machine written here from linux/filter.h, for both architectures."""

import platform
import struct

import pytest

from grpo_jax.rewards.sandbox.inside import seccomp_assembler, syscalls
from grpo_jax.rewards.sandbox.inside.seccomp_assembler import assemble

ALLOW, KILL, EPERM, ENOSYS = 0x7FFF0000, 0x80000000, 0x00050001, 0x00050026
OWN_PID = 4321
MACHINES = ("x86_64", "aarch64")


def decide(program: bytes, number: int, arguments=(), architecture: int | None = None, machine="x86_64") -> int:
    """Run a program on one call, as the kernel does; jumps only go forward, so it ends."""
    architecture = syscalls.AUDIT_ARCHITECTURES[machine] if architecture is None else architecture
    padded = (*arguments, *[0] * (6 - len(arguments)))
    data = struct.pack("<IIQ6Q", number, architecture, 0, *(value & (2**64 - 1) for value in padded))
    code = list(struct.iter_unpack("<HBBI", program))
    accumulator = position = 0
    while True:
        operation, if_true, if_false, operand = code[position]
        position += 1
        match operation:
            case 0x20:
                (accumulator,) = struct.unpack_from("<I", data, operand)
            case 0x54:
                accumulator &= operand
            case 0x15:
                position += if_true if accumulator == operand else if_false
            case 0x35:
                position += if_true if accumulator >= operand else if_false
            case 0x06:
                return operand
            case _:
                raise AssertionError(f"unknown instruction {operation:#x}")


@pytest.fixture(params=MACHINES)
def machine(request):
    return request.param


@pytest.fixture
def child(machine):
    return assemble(syscalls.rules(OWN_PID, machine), machine)


@pytest.fixture
def zygote(machine):
    return assemble(syscalls.rules(None, machine), machine)


def test_a_child_may_compute_and_read(child, machine):
    numbers = syscalls.numbers(machine)
    for name in ("read", "write", "mmap", "brk", "futex", "clock_gettime", "getrandom", "exit_group", "rt_sigaction"):
        assert decide(child, numbers[name], machine=machine) == ALLOW, name


def test_every_number_that_is_not_listed_is_refused(child, machine):
    listed = set(syscalls.numbers(machine).values())
    for number in set(range(1024)) - listed:
        expected = ENOSYS if number >= syscalls.NEWER_THAN_LISTED else EPERM
        assert decide(child, number, machine=machine) == expected, number


@pytest.mark.parametrize("name", ["socket", "connect", "execve", "ptrace", "unshare", "mount", "bpf", "memfd_create"])
def test_dangerous_calls_are_not_on_the_list(name, machine):
    assert name not in syscalls.numbers(machine)


def test_a_child_signals_only_itself(child, machine):
    numbers = syscalls.numbers(machine)
    for name in ("kill", "tgkill"):
        assert decide(child, numbers[name], (OWN_PID, 9, 9), machine=machine) == ALLOW
        for other in (0, -1, 1, -OWN_PID, OWN_PID + 1):
            assert decide(child, numbers[name], (other, 9, 9), machine=machine) == EPERM, (name, other)


def test_a_child_starts_threads_and_no_processes(child, zygote, machine):
    numbers = syscalls.numbers(machine)
    thread, fork, new_user_namespace = 0x003D0F00, 0x01200011, 0x10000000
    assert decide(child, numbers["clone"], (thread,), machine=machine) == ALLOW
    for flags in (fork, new_user_namespace, thread | new_user_namespace, 17):
        assert decide(child, numbers["clone"], (flags,), machine=machine) == EPERM, hex(flags)
    assert decide(child, numbers["clone3"], machine=machine) == ENOSYS
    assert decide(zygote, numbers["clone"], (fork,), machine=machine) == ALLOW
    assert decide(zygote, numbers["clone"], (fork | new_user_namespace,), machine=machine) == EPERM


def test_a_child_has_none_of_the_zygotes_calls(child, machine):
    numbers = syscalls.numbers(machine)
    for name in ("wait4", "sendmsg", "recvmsg", "prctl", "seccomp", "setrlimit"):
        if name in numbers:
            assert decide(child, numbers[name], machine=machine) == EPERM, name


def test_descriptors_cannot_be_made_to_signal_others(child, machine):
    numbers = syscalls.numbers(machine)
    f_setown, f_setsig, fioasync, o_async = 8, 10, 0x5452, 0x2000
    assert decide(child, numbers["fcntl"], (0, 1), machine=machine) == ALLOW
    for command in (f_setown, f_setsig):
        assert decide(child, numbers["fcntl"], (0, command, 1), machine=machine) == EPERM
    assert decide(child, numbers["ioctl"], (0, fioasync), machine=machine) == EPERM
    assert decide(child, numbers["openat"], (0, 0, o_async), machine=machine) == EPERM


def test_local_pairs_are_streams_without_addresses(child, machine):
    numbers = syscalls.numbers(machine)
    unix, inet, stream, datagram, close_on_exec = 1, 2, 1, 2, 0o2000000
    assert decide(child, numbers["socketpair"], (unix, stream | close_on_exec), machine=machine) == ALLOW
    assert decide(child, numbers["socketpair"], (unix, datagram), machine=machine) == EPERM
    assert decide(child, numbers["socketpair"], (inet, stream), machine=machine) == EPERM
    assert decide(child, numbers["sendto"], (3, 1, 1, 0, 0, 0), machine=machine) == ALLOW
    for address in (1, 1 << 40):
        assert decide(child, numbers["sendto"], (3, 1, 1, 0, address, 16), machine=machine) == EPERM, hex(address)


def test_calls_of_another_architecture_kill(child, machine):
    other = syscalls.AUDIT_ARCHITECTURES["aarch64" if machine == "x86_64" else "x86_64"]
    assert decide(child, 0, architecture=other, machine=machine) == KILL
    assert decide(child, 0x40000000, machine=machine) == KILL


def test_jumps_stay_inside_the_program(child):
    code = list(struct.iter_unpack("<HBBI", child))
    for position, (operation, if_true, if_false, _) in enumerate(code):
        if operation in (0x15, 0x35):
            assert position + 1 + max(if_true, if_false) < len(code)


def test_an_unknown_machine_is_named():
    with pytest.raises(ValueError, match="riscv64"):
        syscalls.numbers("riscv64")


def test_the_filter_for_any_child_becomes_that_of_one():
    machine = platform.machine()
    if machine not in MACHINES:
        pytest.skip(f"no filters for {machine}")
    assert seccomp_assembler.for_child(seccomp_assembler.assemble_for_any_child(), OWN_PID) == assemble(
        syscalls.rules(OWN_PID)
    )
