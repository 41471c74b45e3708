# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""`reasoning_token_map.json`: beside the weights of every model and checkpoint that has a reasoning vocabulary."""

import json
from pathlib import Path

from grpo_jax.models.vocabulary import TokenMap
from grpo_jax.records import ConfigError

TOKEN_MAP_FILE = "reasoning_token_map.json"


def read_token_map(folder: Path) -> TokenMap | None:
    """The map in a folder; None where there is none.

    Raises:
        ConfigError: The file is damaged.
    """
    file = folder / TOKEN_MAP_FILE
    if not file.is_file():
        return None
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(f"{file} is not valid JSON: {error}") from error
    return TokenMap.from_json(value, str(file))


def write_token_map(folder: Path, token_map: TokenMap) -> None:
    """Write the map into an existing folder."""
    (folder / TOKEN_MAP_FILE).write_text(json.dumps(token_map.as_json()) + "\n", encoding="utf-8")
