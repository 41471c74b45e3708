# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Assembles an allow list into a seccomp filter (classic BPF) and installs it; no libseccomp needed.

The filter sees `struct seccomp_data`: call number, architecture, instruction pointer, six 64-bit arguments.
https://docs.kernel.org/userspace-api/seccomp_filter.html
"""

import ctypes
import platform
import struct
from collections.abc import Sequence

from grpo_jax.rewards.sandbox.inside import kernel
from grpo_jax.rewards.sandbox.inside.syscalls import (
    ALL_BITS,
    AUDIT_ARCHITECTURES,
    NEWER_THAN_LISTED,
    Condition,
    Rule,
    rules,
)

_LOAD, _AND, _RETURN = 0x20, 0x54, 0x06  # BPF_LD|W|ABS, BPF_ALU|AND|K, BPF_RET|K
_IF_EQUAL, _IF_AT_LEAST = 0x15, 0x35  # BPF_JMP|JEQ|K, BPF_JMP|JGE|K
_ALLOW, _KILL, _ERROR = 0x7FFF0000, 0x80000000, 0x00050000  # SECCOMP_RET_*
_NUMBER_OFFSET, _ARCHITECTURE_OFFSET, _ARGUMENTS_OFFSET = 0, 4, 16
_EPERM, _ENOSYS = 1, 38
_SET_MODE_FILTER, _FLAG_SPEC_ALLOW = 1, 4

_SOME_PID = 0x7A69C3F5  # above every process id, and no other operand
_Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, operand


def _condition(condition: Condition, to_refusal: int) -> list[_Instruction]:
    """Instructions of one condition; falls through when it holds, else jumps `to_refusal` past its end."""
    offset = _ARGUMENTS_OFFSET + 8 * condition.argument  # both architectures are little-endian: low word first
    code: list[_Instruction] = []
    count = len(condition.values)
    tail: list[_Instruction] = [(_LOAD, 0, 0, offset)]
    if condition.mask != ALL_BITS:
        tail.append((_AND, 0, 0, condition.mask))
    for index, value in enumerate(condition.values):
        last = index == count - 1
        tail.append((_IF_EQUAL, count - 1 - index, to_refusal if last else 0, value))
    if condition.whole:
        code += [(_LOAD, 0, 0, offset + 4), (_IF_EQUAL, 0, len(tail) + to_refusal, 0)]
    return code + tail


def _rule(rule: Rule) -> list[_Instruction]:
    """Instructions of one rule; falls past its end when the number is another."""
    body: list[_Instruction] = [(_RETURN, 0, 0, _ERROR | rule.refusal)]
    if not rule.never:
        body = [(_RETURN, 0, 0, _ALLOW), *body] if rule.conditions else [(_RETURN, 0, 0, _ALLOW)]
        distance = 1  # past the `allow` stands the refusal
        for condition in reversed(rule.conditions):
            code = _condition(condition, distance)
            body = [*code, *body]
            distance += len(code)
    return [(_IF_EQUAL, 0, len(body), rule.number), *body]


def assemble(rules: Sequence[Rule], machine: str | None = None) -> bytes:
    """The program for the kernel, as an array of `struct sock_filter`.

    Another architecture's calls (32-bit ones, x32) kill the process. Calls that are not listed fail with EPERM, or with
    ENOSYS where they are newer than the lists.
    """
    program: list[_Instruction] = [
        (_LOAD, 0, 0, _ARCHITECTURE_OFFSET),
        (_IF_EQUAL, 1, 0, AUDIT_ARCHITECTURES[machine or platform.machine()]),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER_OFFSET),
        (_IF_AT_LEAST, 0, 1, 0x40000000),  # __X32_SYSCALL_BIT
        (_RETURN, 0, 0, _KILL),
    ]
    for rule in rules:
        program += _rule(rule)
    program += [
        (_IF_AT_LEAST, 0, 1, NEWER_THAN_LISTED),
        (_RETURN, 0, 0, _ERROR | _ENOSYS),
        (_RETURN, 0, 0, _ERROR | _EPERM),
    ]
    return b"".join(struct.pack("<HBBI", *instruction) for instruction in program)


def assemble_for_any_child() -> bytes:
    """The children's filter for this machine, for `for_child` to complete; assembling takes longer than forking."""
    return assemble(rules(_SOME_PID))


def for_child(program: bytes, pid: int) -> bytes:
    """Put a process id into what `assemble_for_any_child` returned."""
    return program.replace(struct.pack("<I", _SOME_PID), struct.pack("<I", pid))


def install(program: bytes) -> None:
    """Put the calling thread, and all that it starts, under the filter for good.

    Raises:
        OSError: The kernel refuses, for example because it has no seccomp.
    """
    kernel.no_new_privileges()
    buffer = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("@HxxxxxxP", len(program) // 8, ctypes.addressof(buffer))  # struct sock_fprog
    kernel.system_call("seccomp", _SET_MODE_FILTER, _FLAG_SPEC_ALLOW, ctypes.c_char_p(header))
