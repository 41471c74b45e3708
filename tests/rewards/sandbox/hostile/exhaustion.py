# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: E501  programs in one string each read best unbroken
"""Programs that want to use up time, memory, output, descriptors or threads, or to break what reads their results."""

PROGRAMS = {
    "runs_for_ever": "while True: pass",
    "runs_for_ever_in_the_call": "def f(x):\n    while True: pass\nf(0) if __name__ == '__main__' else None",
    "sleeps": "import time\ntime.sleep(600)",
    "waits_for_a_lock": "import threading\nlock = threading.Lock()\nlock.acquire()\nlock.acquire()",
    "waits_for_input": "import os\nwhile True:\n    os.read(os.pipe()[0], 1)",
    "holds_the_interpreter": "def f(x):\n    return 9 ** 9 ** 9\nf(0) if __name__ == '__main__' else None",
    "bad_regular_expression": "import re\nre.match(r'(a+)+$', 'a' * 60 + 'b')",
    "catches_everything": "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
    "ignores_signals": (
        "import signal\nfor number in range(1, 65):\n    try: signal.signal(number, signal.SIG_IGN)\n    except Exception: pass\n"
        "while True: pass"
    ),
    "stops_itself": "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)\nwhile True: pass",
    "stops_itself_in_a_thread": (
        "import os, signal, threading, time\nthreading.Thread(target=lambda: os.kill(os.getpid(), signal.SIGSTOP)).start()\ntime.sleep(60)"
    ),
    "alarms_for_ever": (
        "import signal\nsignal.signal(signal.SIGALRM, lambda *a: None)\nsignal.setitimer(signal.ITIMER_REAL, 0.0001, 0.0001)\nwhile True: pass"
    ),
    "lingering_thread": (
        "import threading, time\nthreading.Thread(target=time.sleep, args=(600,)).start()\ndef f(x):\n    return 0"
    ),
    "lingering_daemon": (
        "import threading\ndef spin():\n    while True: pass\nfor _ in range(4): threading.Thread(target=spin, daemon=True).start()\n"
        "def f(x):\n    return 0"
    ),
    "thread_bomb": (
        "import threading, time\nthreading.stack_size(32768)\nwhile True:\n    try: threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
        "    except RuntimeError: time.sleep(0.01)"
    ),
    "fork_bomb": "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass",
    "memory_at_once": "held = bytearray(8 << 30)",
    "memory_bit_by_bit": "held = []\nwhile True: held.append(bytearray(1 << 20))",
    "memory_despite_errors": (
        "held = []\nwhile True:\n    try: held.append(bytearray(1 << 16))\n    except MemoryError: pass"
    ),
    "mapped_memory": "import mmap\nheld = [mmap.mmap(-1, 1 << 26) for _ in range(1000)]",
    "huge_int": "def f(x):\n    return 1 << 80_000_000\nprint((1 << 80_000_000) % 7)",
    "huge_text": "def f(x):\n    return 'x' * 50_000_000\nprint('x' * 50_000_000)",
    "huge_list": "def f(x):\n    return [0] * 5_000_000",
    "endless_list": "def f(x):\n    items = []\n    items.append(items)\n    return items",
    "deep_list": "def f(x):\n    items = []\n    for _ in range(100_000): items = [items]\n    return items",
    "deep_list_as_json": "import os\nos.write(3, b'{\"loaded\": true}\\n[0, ' + b'[' * 500_000 + b']' * 500_000 + b']\\n')\nos._exit(0)",
    "long_number_as_json": "import os\nos.write(3, b'{\"loaded\": true}\\n[0, ' + b'9' * 900_000 + b']\\n')\nos._exit(0)",
    "colliding_keys": "def f(x):\n    return {n * (2 ** 61 - 1): n for n in range(3000)}",
    "broken_text": "def f(x):\n    return '\\ud800' * 10\nimport sys\nsys.stdout.buffer.write(b'\\xff\\xfe' * 100)",
    "deep_recursion": "import sys\nsys.setrecursionlimit(10 ** 9)\ndef f(x):\n    return f(x + 1)\nf(0)",
    "deep_source": "x = " + "(" * 5000 + "1" + ")" * 5000,
    "deep_operators": "x = " + "-" * 200_000 + "1",
    "wide_source": "x = " + "+".join(["1"] * 100_000),
    "null_byte": "def f(x):\n    return 1\x00",
    "lone_surrogate": "def f(x):\n    return '\ud800'",
    "print_flood": "while True: print('x' * 10000)",
    "error_flood": "import sys\nwhile True: sys.stderr.write('x' * 10000)",
    "report_flood": "import os\nwhile True:\n    try: os.write(3, b'[0, 1]\\n' * 10000)\n    except OSError: pass",
    "grows_its_files": "import os\nfor number in range(8):\n    try: os.ftruncate(number, 1 << 40)\n    except OSError: pass",
    "descriptor_flood": "import os\nheld = []\nwhile True: held.append(os.dup(0))",
    "crashes": "import ctypes\nctypes.string_at(0)",
    "aborts": "import os\nos.abort()",
    "breaks_the_interpreter": "import ctypes\nctypes.memset(id(None), 0, 64)",
    "slow_exit": "import atexit, time\natexit.register(time.sleep, 600)\ndef f(x):\n    return 0",
    "slow_finalizer": (
        "import time\nclass Slow:\n    def __del__(self): time.sleep(600)\nheld = Slow()\nheld.me = held\ndel held\nimport gc\ngc.collect()"
    ),
    "slow_representation": (
        "class Slow(Exception):\n    def __str__(self):\n        while True: pass\ndef f(x):\n    raise Slow()\nraise Slow()"
    ),
    "slow_name": "import time\nclass f:\n    def __new__(cls, x):\n        time.sleep(600)",
}
