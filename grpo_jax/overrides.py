# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Config modules, presets and `key=value` overrides, all ending in one checked `RunConfig`.

Every mistake is a ConfigError of one line. What a value may be is read from the type hints of `config.py` by
`grpo_jax/typed_values.py`; relations between fields are the sections' own business and are checked once, when
all overrides are in, so that their order cannot cause a passing contradiction.
"""

import difflib
import hashlib
import importlib.util
import json
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from grpo_jax.config import RunConfig
from grpo_jax.records import ConfigError
from grpo_jax.typed_values import (
    WrongTypeError,
    build,
    default_tree,
    describe,
    field_hints,
    optional_of,
    parse,
    section_of,
    to_tree,
)

REPOSITORY_CONFIGS = Path(__file__).resolve().parents[1] / "configs"


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> RunConfig:
    """Load an experiment and apply overrides from left to right.

    Args:
        path: A Python file with a function `config()` that returns a RunConfig.
        overrides: Words `dotted.name=value`; a whole section takes a preset's name, as in `model=qwen3_1p7b`.

    Returns:
        The resolved config, its types and ranges checked.

    Raises:
        ConfigError: The file, a name, a value or a combination of values is wrong.
    """
    path = Path(path)
    loaded = _call_config(path)
    if not isinstance(loaded, RunConfig):
        raise ConfigError(f"{path}: config() returned {type(loaded).__name__}, wanted RunConfig")
    tree = to_tree(loaded)
    for word in overrides:
        key, equals, text = word.partition("=")
        if not equals or not key:
            raise ConfigError(f"override {word!r} is not of the form key=value")
        _apply(tree, key.strip(), text, path.parent)
    try:
        return build(RunConfig, tree, "")
    except WrongTypeError as error:
        raise ConfigError(f"{path}: {error}") from error


def preset(beside: str | Path, section: str, name: str) -> Any:
    """Load one section by its preset's name, for use inside a config module.

    Args:
        beside: The config module's `__file__`; its folder is searched before the repository's `configs/`.
        section: Name of the section and of the folder that holds its presets.
        name: File name of the preset without `.py`.

    Returns:
        What the preset's `config()` returns.

    Raises:
        ConfigError: There is no such preset; the message names those available.
    """
    folders = list(dict.fromkeys([Path(beside).resolve().parent, REPOSITORY_CONFIGS]))
    for folder in folders:
        candidate = folder / section / f"{name}.py"
        if name.isidentifier() and candidate.is_file():
            return _call_config(candidate)
    available = sorted({found.stem for folder in folders for found in (folder / section).glob("*.py")})
    known = ", ".join(available) if available else f"none in {' or '.join(str(f / section) for f in folders)}"
    raise ConfigError(f"{section}={name}: no such preset; available: {known}")


def config_as_dict(config: RunConfig) -> dict[str, Any]:
    """The config as plain JSON values, tuples as lists, functions by their names."""
    return json.loads(json.dumps(to_tree(config), default=_dotted_name))


def _dotted_name(own: Any) -> str:
    """Of a function, or of the class of what can be called like one."""
    named = own if hasattr(own, "__qualname__") else type(own)
    return f"{named.__module__}:{named.__qualname__}"


def config_hash(config: RunConfig) -> str:
    """Sixteen hex digits that are equal exactly for configs that are equal."""
    text = json.dumps(config_as_dict(config), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _call_config(path: Path) -> Any:
    """Import the file under a name of its own and return `config()`."""
    if not path.is_file():
        raise ConfigError(f"{path}: no such config file")
    name = "grpo_jax_config_" + hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{path}: a config is a Python file ending in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickles of the module look their module up by name
    try:
        spec.loader.exec_module(module)
        function = getattr(module, "config", None)
        if not callable(function):
            raise ConfigError("has no function config()")
        return function()
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    except Exception as error:  # a config is the user's own code: whatever it raises is theirs to mend
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        line = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else None
        where = f"{path}:{line}" if line else str(path)
        raise ConfigError(f"{where}: {type(error).__name__}: {' '.join(str(error).split())}") from error
    finally:
        sys.modules.pop(name, None)


def _apply(tree: dict[str, Any], key: str, text: str, folder: Path) -> None:
    """Write one override into the tree of values."""
    parts = key.split(".")
    node: Any = tree
    hint: Any = RunConfig
    for depth, part in enumerate(parts):
        kind, inner = section_of(hint)
        if kind == "mapping" and section_of(inner)[0] == "value":
            # A reward's name may itself be a dotted path: what is left of the key is one name.
            node[".".join(parts[depth:])] = _parse(inner, text, key)
            return
        if kind == "dataclass":
            hints = field_hints(inner)
            if part not in hints:
                raise _unknown(tree, parts, depth, node)
            hint = hints[part]
        elif kind == "mapping":
            if part not in node and depth < len(parts) - 1 and section_of(inner)[0] == "mapping":
                node[part] = {}  # a reward whose first setting this is
            adds = depth == len(parts) - 1 and text.lstrip().startswith("{")  # a whole new entry as a JSON object
            if part not in node and not adds:
                raise _unknown(tree, parts, depth, node)
            hint = inner
        else:
            raise ConfigError(f"unknown config name {key}: {'.'.join(parts[:depth])} is a value and has no fields")
        if depth == len(parts) - 1:
            node[part] = _value(hint, node.get(part), text, key, folder)
            return
        if node[part] is None and optional_of(hint):
            node[part] = default_tree(section_of(hint)[1])
        node = node[part]


def _value(hint: Any, current: Any, text: str, key: str, folder: Path) -> Any:
    """A leaf's value, or a whole section by JSON object, `none` or preset."""
    kind, inner = section_of(hint)
    if kind == "value" or (optional_of(hint) and text.lower() in ("none", "null")):
        return _parse(hint, text, key)
    if text.lstrip().startswith("{"):
        given = _parse(dict, text, key)
        return {**(current or {}), **given} if kind == "dataclass" else given
    if "." in key or (kind == "mapping" and section_of(inner)[0] == "value"):
        raise ConfigError(f"{key}={text}: {key} is a section; set one of its fields, as in {key}.NAME=VALUE")
    loaded = preset(folder / "config.py", key, text)
    if kind == "dataclass" and not isinstance(loaded, inner):
        raise ConfigError(f"{key}={text}: the preset returned {type(loaded).__name__}, wanted {inner.__name__}")
    if kind == "mapping" and not isinstance(loaded, Mapping):
        raise ConfigError(f"{key}={text}: the preset returned {type(loaded).__name__}, wanted a mapping")
    return to_tree(loaded)


def _parse(hint: Any, text: str, key: str) -> Any:
    try:
        return to_tree(parse(hint, text))
    except WrongTypeError as error:
        raise ConfigError(f"{key}={text}: wanted {describe(hint)}") from error


def _unknown(tree: dict[str, Any], parts: list[str], depth: int, node: Mapping[str, Any]) -> ConfigError:
    """The error for a name that is not there, naming the nearest ones that are."""
    key = ".".join(parts)
    names = _all_names(RunConfig, tree, "")
    last = [name for name in names if name.rpartition(".")[2] == parts[-1]]
    near = difflib.get_close_matches(key, names, n=3, cutoff=0.6)
    near += difflib.get_close_matches(parts[-1], [name for name in names if "." not in name], n=1, cutoff=0.6)
    found = list(dict.fromkeys(last[:3] + near))[:4]
    if found:
        return ConfigError(f"unknown config name {key}; nearest: {', '.join(found)}")
    place = ".".join(parts[:depth]) or "the top level"
    return ConfigError(f"unknown config name {key}; valid at {place}: {', '.join(node) or 'nothing yet'}")


def _all_names(hint: Any, node: Any, prefix: str) -> list[str]:
    """Full names of all sections and values that exist in the tree."""
    kind, inner = section_of(hint)
    if kind == "value" or node is None:
        return []
    names: list[str] = []
    hints = field_hints(inner) if kind == "dataclass" else dict.fromkeys(node, inner)
    for name, child in hints.items():
        names.append(prefix + name)
        names += _all_names(child, node[name], f"{prefix}{name}.")
    return names
