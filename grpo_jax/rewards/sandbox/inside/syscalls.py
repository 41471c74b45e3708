# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Which system calls confined Python may make, and their numbers on x86-64 and arm64.

The list is one of what is allowed; everything else is refused. It has what CPython needs to compute, import from the
interpreter's own files, read and write descriptors that it was given, run threads and tell the time.
"""

import platform
from dataclasses import dataclass

AUDIT_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
"""`AUDIT_ARCH_*` of linux/audit.h."""

NEWER_THAN_LISTED = 424
"""From this number on both architectures share one table; unknown ones are answered with ENOSYS, so that libraries
fall back to older calls instead of reporting a refusal."""

_TABLE = """
read 0 63, write 1 64, readv 19 65, writev 20 66, pread64 17 67, pwrite64 18 68, preadv 295 69, pwritev 296 70,
lseek 8 62, close 3 57, close_range 436 436, fstat 5 80, newfstatat 262 79, statx 332 291, faccessat 269 48,
faccessat2 439 439, openat 257 56, readlinkat 267 78, getdents64 217 61, getcwd 79 17, fcntl 72 25, ioctl 16 29,
dup 32 23, dup3 292 24, pipe2 293 59, ftruncate 77 46, fsync 74 82, fadvise64 221 223,
mmap 9 222, munmap 11 215, mprotect 10 226, mremap 25 216, brk 12 214, madvise 28 233, membarrier 324 283,
rt_sigaction 13 134, rt_sigprocmask 14 135, rt_sigreturn 15 139, rt_sigpending 127 136, rt_sigtimedwait 128 137,
rt_sigsuspend 130 133, sigaltstack 131 132, restart_syscall 219 128, setitimer 38 103, getitimer 36 102,
futex 202 98, set_robust_list 273 99, get_robust_list 274 100, rseq 334 293, set_tid_address 218 96,
exit 60 93, exit_group 231 94, getpid 39 172, getppid 110 173, gettid 186 178,
getuid 102 174, geteuid 107 175, getgid 104 176, getegid 108 177, getresuid 118 148, getresgid 120 150,
getgroups 115 158, getpgid 121 155, getsid 124 156, uname 63 160, sysinfo 99 179, umask 95 166, getpriority 140 141,
clock_gettime 228 113, clock_getres 229 114, clock_nanosleep 230 115, nanosleep 35 101, gettimeofday 96 169,
times 100 153, getrusage 98 165, sched_yield 24 124, sched_getaffinity 204 123, sched_getparam 143 121,
sched_getscheduler 145 120, getcpu 309 168, getrandom 318 278, prlimit64 302 261,
ppoll 271 73, pselect6 270 72, epoll_create1 291 20, epoll_ctl 233 21, epoll_pwait 281 22, eventfd2 290 19,
timerfd_create 283 85, timerfd_settime 286 86, timerfd_gettime 287 87, shutdown 48 210, recvfrom 45 207,
getsockopt 55 209, socketpair 53 199, sendto 44 206, kill 62 129, tgkill 234 131, clone 56 220, clone3 435 435,
wait4 61 260, waitid 247 95, sendmsg 46 211, recvmsg 47 212, prctl 157 167, seccomp 317 277, setrlimit 160 164,
getrlimit 97 163,
open 2 -, stat 4 -, lstat 6 -, access 21 -, readlink 89 -, pipe 22 -, dup2 33 -, poll 7 -, select 23 -,
epoll_create 213 -, epoll_wait 232 -, arch_prctl 158 -, alarm 37 -, time 201 -, getpgrp 111 -, pause 34 -
"""
"""Name, number on x86-64, number on arm64 (`-` where it lacks the call): asm/unistd_64.h, asm-generic/unistd.h."""

_ZYGOTE_ONLY = frozenset("wait4 waitid sendmsg recvmsg prctl seccomp setrlimit".split())

_CLONE_THREAD = 0x00010000
_CLONE_NAMESPACES = 0x7E020080  # CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET, NEWTIME
_FCNTL_COMMANDS = (0, 1, 2, 3, 4, 1030, 1032)  # F_DUPFD, GETFD, SETFD, GETFL, SETFL, DUPFD_CLOEXEC, GETPIPE_SZ
_IOCTL_COMMANDS = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)  # TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO, FIO(N)CLEX
_O_ASYNC = 0x2000
_AF_UNIX = 1
_SOCK_TYPE_MASK = 0xF
_SOCK_STREAM = 1
ALL_BITS = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Condition:
    """An argument's low 32 bits, masked, must be one of the values; `whole` compares the high 32 bits with 0 too."""

    argument: int
    mask: int
    values: tuple[int, ...]
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """A system call that is allowed when all conditions hold; `refusal` names the error otherwise."""

    number: int
    conditions: tuple[Condition, ...] = ()
    refusal: int = 1  # EPERM
    never: bool = False


def numbers(machine: str | None = None) -> dict[str, int]:
    """Numbers of the listed calls by name.

    Args:
        machine: `x86_64` or `aarch64`; None for this host's.

    Raises:
        ValueError: No table for this machine.
    """
    machine = machine or platform.machine()
    if machine not in AUDIT_ARCHITECTURES:
        raise ValueError(f"no system call numbers for {machine!r}; known: {', '.join(AUDIT_ARCHITECTURES)}")
    column = 1 if machine == "x86_64" else 2
    rows = (entry.split() for entry in _TABLE.replace("\n", " ").split(","))
    return {row[0]: int(row[column]) for row in rows if row[column] != "-"}


def _guarded(own_pid: int | None) -> dict[str, tuple[Condition, ...]]:
    """Conditions by name. A child (`own_pid` given) may only signal itself and start threads."""
    fork_or_thread = Condition(0, _CLONE_NAMESPACES, (0,))
    thread = Condition(0, _CLONE_NAMESPACES | _CLONE_THREAD, (_CLONE_THREAD,))
    guarded = {
        # Asking for signals on a descriptor (F_SETOWN, F_SETSIG, FIOASYNC, O_ASYNC) would be a way to kill others.
        "fcntl": (Condition(1, ALL_BITS, _FCNTL_COMMANDS),),
        "ioctl": (Condition(1, ALL_BITS, _IOCTL_COMMANDS),),
        "openat": (Condition(2, _O_ASYNC, (0,)),),
        "open": (Condition(1, _O_ASYNC, (0,)),),
        "socketpair": (Condition(0, ALL_BITS, (_AF_UNIX,)), Condition(1, _SOCK_TYPE_MASK, (_SOCK_STREAM,))),
        "sendto": (Condition(4, ALL_BITS, (0,), whole=True),),  # no address: only to its own pair
        "clone": (fork_or_thread,) if own_pid is None else (thread,),
    }
    if own_pid is not None:
        itself = (Condition(0, ALL_BITS, (own_pid,)),)
        guarded |= {"kill": itself, "tgkill": itself, "prlimit64": (Condition(0, ALL_BITS, (0, own_pid)),)}
    return guarded


def rules(own_pid: int | None, machine: str | None = None) -> list[Rule]:
    """The allow list, of the zygote or of a child.

    Args:
        own_pid: The child's process id, in its own PID namespace; None for the zygote.
        machine: `x86_64` or `aarch64`; None for this host's.
    """
    guarded = _guarded(own_pid)
    allowed = []
    for name, number in numbers(machine).items():
        if name == "clone3":  # its flags are behind a pointer, where no filter sees them; libraries fall back to clone
            allowed.append(Rule(number, refusal=38, never=True))
        elif own_pid is None or name not in _ZYGOTE_ONLY:
            allowed.append(Rule(number, guarded.get(name, ())))
    return allowed
