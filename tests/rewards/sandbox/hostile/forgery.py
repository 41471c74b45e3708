# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: E501  programs in one string each read best unbroken
"""Programs that want to be judged right without knowing the answer; `f(n)` or the script's output is what is judged."""

PROGRAMS = {
    "exits_while_loading": "import sys\nsys.exit(0)",
    "ends_process_while_loading": "import os\nos._exit(0)",
    "exits_in_the_call": "def f(x):\n    raise SystemExit(0)",
    "ends_process_in_the_call": "import os\ndef f(x):\n    os._exit(0)",
    "calls_quit": "def f(x):\n    quit()\nprint('48611')\nquit(1)",
    "exits_in_atexit": "import atexit, os\natexit.register(os._exit, 0)\nraise ValueError",
    "raises_keyboard_interrupt": "def f(x):\n    raise KeyboardInterrupt\nraise KeyboardInterrupt",
    "raises_generator_exit": "def f(x):\n    raise GeneratorExit",
    "always_equal": (
        "class Equal:\n    def __eq__(self, other): return True\n    def __ne__(self, other): return False\n"
        "    def __hash__(self): return 0\ndef f(x):\n    return Equal()"
    ),
    "always_equal_int": (
        "class Equal(int):\n    def __eq__(self, other): return True\n    def __sub__(self, other): return 0\n"
        "    __rsub__ = __sub__\n    def __hash__(self): return 0\ndef f(x):\n    return Equal(0)"
    ),
    "always_equal_text": (
        "class Equal(str):\n    def __eq__(self, other): return True\n    __hash__ = str.__hash__\n"
        "def f(x):\n    return Equal('')"
    ),
    "always_equal_list": "class Equal(list):\n    def __eq__(self, other): return True\ndef f(x):\n    return Equal()",
    "mock_any": "from unittest import mock\ndef f(x):\n    return mock.ANY",
    "magic_mock": "from unittest import mock\ndef f(x):\n    return mock.MagicMock()",
    "class_lies_about_its_type": (
        "class Liar:\n    @property\n    def __class__(self): return int\n    def __index__(self): return 48611\n"
        "    def __eq__(self, other): return True\ndef f(x):\n    return Liar()"
    ),
    "metaclass_equality": (
        "class Meta(type):\n    def __eq__(cls, other): return True\n    def __hash__(cls): return 0\n"
        "class f(metaclass=Meta):\n    def __init__(self, x): pass"
    ),
    "equality_of_the_caller": (
        "import sys\ndef f(x):\n    frame = sys._getframe()\n    while frame:\n        for name, value in "
        "list(frame.f_locals.items()) + list(frame.f_globals.items()):\n            if isinstance(value, (list, dict)):\n"
        "                try: value.clear()\n                except Exception: pass\n        frame = frame.f_back\n    return 0"
    ),
    "walks_frames_for_numbers": (
        "import sys\ndef numbers(value, depth=0):\n    if type(value) is int and 10000 < value < 99999: yield value\n"
        "    if depth < 4 and isinstance(value, (list, tuple)):\n        for item in value: yield from numbers(item, depth + 1)\n"
        "    if depth < 4 and isinstance(value, dict):\n"
        "        for item in list(value.values()): yield from numbers(item, depth + 1)\n"
        "def f(x):\n    frame = sys._getframe(1)\n    while frame:\n        for found in numbers(dict(frame.f_locals)): return found\n"
        "        frame = frame.f_back\n    return 0"
    ),
    "walks_gc_for_numbers": (
        "import gc\ndef f(x):\n    for thing in gc.get_objects():\n        items = thing.values() if type(thing) is dict else thing "
        "if type(thing) in (list, tuple) else ()\n        for item in list(items):\n"
        "            if item in (48611, 77003, 10459): pass\n            if isinstance(item, str) and '== ' in item and 'f(' in item:\n"
        "                return int(item.split('== ')[1].split()[0])\n    return 0"
    ),
    "searches_its_memory": (
        "import ctypes, re\ndef f(x):\n    texts = [part for line in open('/proc/self/maps') for part in [line]]\n"
        "    return len(texts)"
    ),
    "reads_the_job_again": (
        "import os\nfound = b''\nfor number in range(64):\n    try:\n        os.lseek(number, 0, 0)\n"
        "        found += os.read(number, 1 << 16)\n    except OSError:\n        pass\n"
        "def f(x):\n    import re\n    match = re.search(rb'== ?(\\d{5})', found)\n    return int(match.group(1)) if match else 0"
    ),
    "patches_json": (
        "import json\njson.dumps = lambda *a, **k: '[0, true]'\njson.JSONEncoder.encode = lambda *a: '[0, true]'\ndef f(x):\n    return 0"
    ),
    "patches_builtins": (
        "import builtins\nbuiltins.eval = lambda *a: True\nbuiltins.compile = lambda *a: None\nbuiltins.isinstance = lambda *a: True\n"
        "builtins.abs = lambda value: 0\nbuiltins.bool = lambda value: True\ndef f(x):\n    return 0"
    ),
    "patches_the_encoder": (
        "import sys\nfor name, module in list(sys.modules.items()):\n    if 'plain_data' in name:\n"
        "        module.encode = lambda value: True\n        module.decode = lambda value: 0\ndef f(x):\n    return 0"
    ),
    "patches_the_runner": (
        "import sys, os\nfor name, module in list(sys.modules.items()):\n    if 'runner' in name:\n"
        "        for key in list(vars(module)):\n            if callable(getattr(module, key)): setattr(module, key, lambda *a, **k: True)\n"
        "def f(x):\n    return 0"
    ),
    "patches_assertion": "import builtins\nbuiltins.AssertionError = type('Quiet', (Exception,), {})\ndef f(x):\n    return 0",
    "pokes_small_ints": (
        "import ctypes\ntry:\n    ctypes.memset(id(2) + 24, 1, 4)\nexcept Exception: pass\ndef f(x):\n    return 0"
    ),
    "sprays_every_descriptor": (
        "import os\nlines = b'\\n'.join([b'{\"loaded\": true}'] + [b'[%d, true]' % n for n in range(9)]) + b'\\n'\n"
        "for number in range(64):\n    try: os.write(number, lines)\n    except OSError: pass\nos._exit(0)"
    ),
    "reports_a_verdict": (
        'import os, json\nfor number in range(3, 7):\n    for text in (\'{"nonce": "0", "solution": "loaded", "passed": [true], '
        "\"unsupported\": null}', '{\"passed\": true}', 'PASS', 'OK'):\n        try: os.write(number, text.encode() + b'\\n')\n"
        "        except OSError: pass\ndef f(x):\n    return 0"
    ),
    "answers_the_calls_ahead": (
        "import os, json, struct\nfor value in (True, {'value': 0}, {'value': ['?', 'x']}, {'loaded': True}):\n"
        "    data = json.dumps(value).encode()\n    for number in (3, 4, 5):\n        try: os.write(number, struct.pack('!I', len(data)) + data)\n"
        "        except OSError: pass\nos._exit(0)"
    ),
    "announces_a_huge_message": (
        "import os\nfor number in (3, 4, 5):\n    try: os.write(number, b'\\xff\\xff\\xff\\xff' + b'x' * 1000)\n    except OSError: pass\nos._exit(0)"
    ),
    "truncates_the_report": (
        "import os\ndef f(x):\n    for number in range(8):\n        try: os.ftruncate(number, 0)\n        except OSError: pass\n    return 0"
    ),
    "swaps_descriptors": (
        "import os\nfor source, target in ((3, 1), (1, 3), (6, 3), (3, 0), (5, 3)):\n    try: os.dup2(source, target)\n"
        "    except OSError: pass\ndef f(x):\n    return 0"
    ),
    "closes_every_descriptor": "import os\nos.closerange(0, 256)\ndef f(x):\n    return 0",
    "returns_a_pickle_that_acts": (
        "class Bomb:\n    def __reduce__(self):\n        import os\n        return (os._exit, (0,))\ndef f(x):\n    return Bomb()"
    ),
    "returns_pickled_bytes": "import pickle\ndef f(x):\n    return pickle.dumps({'passed': True})",
    "traces_the_runner": (
        "import sys\ndef trace(frame, event, value):\n    for name in list(frame.f_locals):\n        if name in ('passed', 'report'): "
        "frame.f_locals[name] = True\n    return trace\nsys.settrace(trace)\ndef f(x):\n    return 0"
    ),
    "imports_the_grader": (
        "import sys\nsys.path[:0] = ['/sandbox', '.', '/work', '/']\ntry:\n    from grpo_jax.rewards import code_judge\n"
        "    code_judge.equals = lambda *a, **k: True\nexcept Exception: pass\ndef f(x):\n    return 0"
    ),
    "answers_nan": "def f(x):\n    return float('nan')\nprint(float('nan'))",
    "answers_a_generator_of_everything": "import itertools\ndef f(x):\n    return itertools.count()",
    "deletes_the_modules": "import sys\nsys.modules.clear()\ndef f(x):\n    return 0",
    "stdout_says_passed": "print('PASSED', 'OK', '1.0', True)\ndef f(x):\n    print('all tests passed')\n    return 0",
    "right_line_among_many": "print('48611')\nprint('77003')\ndef f(x):\n    return [48611, 77003, 10459]",
    "right_output_wrong_exit": "print('48611')\nraise SystemExit(3)",
    "finalizer_speaks_last": (
        "import os\nclass Last:\n    def __del__(self): os.write(3, b'[0, 1]\\n')\nlast = Last()\ndef f(x):\n    return 0"
    ),
    "call_flood": "import os\nwhile True:\n    for number in (4, 5):\n        try: os.write(number, b'\\0\\0\\0\\2{}' * 10000)\n        except OSError: pass",
}
