# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: E501  programs in one string each read best unbroken
"""Programs that reach for the host; each prints or returns an answer that only a successful escape would make right.

`f` returns the text `escaped` where an attempt worked, which the suite looks for.
"""

_HEAD = """
import ctypes, os, signal, socket, sys
libc = ctypes.CDLL(None, use_errno=True)
def attempt(action):
    try:
        return action()
    except BaseException as error:
        return None
"""
_TAIL = """
worked = attempt(escape)
def f(x):
    return 'escaped' if worked else 0
if __name__ == '__main__':
    print('escaped' if worked else 'held')
"""

_BODIES = {
    "reads_users": "open('/etc/passwd').read()",
    "reads_root_folder": "os.listdir('/root') or os.listdir('/home') or os.listdir('/work')",
    "reads_shadow_by_handle": "libc.open_by_handle_at(-100, b'x' * 16, 0) >= 0",
    "reads_project": "open(os.path.join(sys.argv[0] or '.', 'pyproject.toml')).read()",
    "reads_parent_environment": "open(f'/proc/{os.getppid()}/environ', 'rb').read()",
    "reads_parent_memory": "open(f'/proc/{os.getppid()}/mem', 'rb').read(1)",
    "reads_own_environment": "[key for key in os.environ if key not in ('LC_CTYPE',)]",
    "reads_c_environment": "libc.getenv(b'PATH') or libc.getenv(b'HOME') or libc.getenv(b'SECRET_CANARY')",
    "writes_temporary_file": "open('/tmp/hostile_canary', 'w').write('x')",
    "writes_shared_memory": "open('/dev/shm/hostile_canary', 'w').write('x')",
    "writes_working_folder": "open('hostile_canary', 'w').write('x')",
    "writes_interpreter": "open(os.__file__, 'a').write('x')",
    "makes_link": "os.symlink('/etc/passwd', '/tmp/hostile_canary') or True",
    "makes_fifo": "os.mkfifo('/tmp/hostile_canary') or True",
    "makes_folder": "os.mkdir('/tmp/hostile_canary') or True",
    "removes_file": "os.unlink(os.__file__) or True",
    "renames_file": "os.rename(os.__file__, os.__file__ + '.x') or True",
    "changes_mode": "os.chmod(os.__file__, 0o777) or True",
    "makes_memory_file": "os.memfd_create('x') >= 0",
    "opens_tcp": "socket.socket(socket.AF_INET, socket.SOCK_STREAM)",
    "opens_tcp6": "socket.socket(socket.AF_INET6, socket.SOCK_STREAM)",
    "opens_netlink": "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)",
    "opens_vsock": "socket.socket(40, socket.SOCK_STREAM)",
    "opens_unix": "socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)",
    "datagram_pair": "socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)",
    "sends_to_address": "socket.socketpair()[0].sendto(b'x', '\\0hostile')",
    "resolves_name": "socket.getaddrinfo('localhost', 80, proto=socket.IPPROTO_TCP) and socket.create_connection(('localhost', 80))",
    "forks": "os.fork() >= 0",
    "forks_by_number": "libc.syscall(57) >= 0 or libc.syscall(58) >= 0",
    "clones_by_number": "libc.syscall(56, 17, 0, 0, 0, 0) >= 0",
    "clones_anew_by_number": "libc.syscall(435, b'\\0' * 88, 88) >= 0",
    "calls_32_bit": "libc.syscall(0x40000000 + 39) >= 0",
    "replaces_itself": "os.execv(sys.executable, [sys.executable, '-c', 'print(1)']) or True",
    "runs_shell": "os.system('true') == 0",
    "spawns": "os.posix_spawn('/bin/true', ['true'], {}) >= 0",
    "pool_of_processes": "__import__('multiprocessing').Pool(2).map(abs, [1])",
    "traces_parent": "libc.ptrace(16, os.getppid(), 0, 0) == 0",
    "asks_to_be_traced": "libc.ptrace(0, 0, 0, 0) == 0",
    "reads_by_process_vm": "libc.process_vm_readv(os.getppid(), b'x' * 16, 1, b'x' * 16, 1, 0) >= 0",
    "takes_parent_descriptor": "libc.syscall(434, os.getppid(), 0) >= 0 or libc.syscall(438, 3, 0, 0) >= 0",
    "kills_parent": "os.kill(os.getppid(), signal.SIGKILL) or True",
    "kills_group": "os.killpg(0, signal.SIGTERM) or True",
    "kills_everyone": "os.kill(-1, signal.SIGKILL) or True",
    "queues_signal": "libc.syscall(129, os.getppid(), 9, b'\\0' * 128) == 0",
    "kills_thread_by_number": "libc.syscall(200, os.getppid(), 9) == 0",
    "signals_by_descriptor_owner": "__import__('fcntl').fcntl(os.pipe()[0], 8, os.getppid()) == 0",
    "leaves_session": "os.setsid() >= 0",
    "leaves_group": "os.setpgid(0, 0) or True",
    "new_user_namespace": "libc.unshare(0x10000000) == 0",
    "new_mount_namespace": "libc.unshare(0x00020000) == 0",
    "mounts": "libc.mount(b'none', b'/tmp', b'tmpfs', 0, None) == 0",
    "changes_root": "os.chroot('/') or True",
    "becomes_root": "os.getuid() != 0 and libc.setuid(0) == 0",
    "sets_its_parents_limit": "__import__('resource').prlimit(os.getppid(), 7, (1, 1)) or True",
    "raises_its_limits": "__import__('resource').setrlimit(0, (99, 99)) or True",
    "survives_its_parent": "libc.prctl(1, 0, 0, 0, 0) == 0",
    "makes_itself_dumpable": "libc.prctl(4, 1, 0, 0, 0) == 0",
    "adds_filter": "libc.prctl(22, 1, 0, 0, 0) == 0",
    "system_v_memory": "libc.shmget(1234, 4096, 0o1600) >= 0",
    "system_v_queue": "libc.msgget(1234, 0o1600) >= 0",
    "posix_queue": "libc.mq_open(b'/hostile', 66, 0o600, None) >= 0",
    "adds_key": "libc.syscall(248, b'user', b'x', b'x', 1, -3) >= 0",
    "loads_bpf": "libc.syscall(321, 5, b'\\0' * 64, 64) >= 0",
    "opens_perf": "libc.syscall(298, b'\\0' * 120, 0, -1, -1, 0) >= 0",
    "io_ring": "libc.syscall(425, 8, b'\\0' * 120) >= 0",
    "userfault": "libc.syscall(323, 0) >= 0",
    "types_into_terminal": "__import__('fcntl').ioctl(0, 0x5412, b'x') is not None",
    "sets_affinity": "os.sched_setaffinity(0, {0}) or True",
    "raises_priority": "os.setpriority(0, 0, -5) or True",
}

PROGRAMS = {name: f"{_HEAD}def escape():\n    return {body}\n{_TAIL}" for name, body in _BODIES.items()}
