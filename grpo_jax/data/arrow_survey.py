# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Checks rows of the problem schema by whole Arrow columns, which takes microseconds a row.

The checks are those of `schema.problem_from_row` and err on one side: a row that passes here passes there, a row that
is marked odd may yet be fine.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
from jaxtyping import Bool

from grpo_jax.data.schema import ROLES

pc: Any = pyarrow.compute  # its functions are made on import, unseen by type checkers


@dataclass(frozen=True)
class BatchSurvey:
    """What the columns of a batch tell, a value a row.

    Attributes:
        chosen: Rows of the wanted split.
        odd: Rows to look at one by one.
        texts: What the user asks; only to be used where a row is not odd.
        domains: The row's own domain, likewise; empty where a domain was given.
    """

    chosen: Bool[np.ndarray, " rows"]
    odd: Bool[np.ndarray, " rows"]
    texts: Sequence[str]
    domains: Sequence[str]


def survey_batch(batch: pa.RecordBatch, domain: str | None, split: str | None) -> BatchSurvey | None:
    """Check a batch.

    Args:
        batch: Rows as columns.
        domain: The domain of all rows; None takes each row's own.
        split: Only rows whose `extra_info.split` says so; None takes all.

    Returns:
        The findings, or None where the columns' types leave all rows to be looked at one by one.
    """
    columns = dict(zip(batch.schema.names, batch.columns, strict=True))
    if not _types_are_those_of_the_schema(columns):
        return None
    for name in ("reward_model", "extra_info"):
        if name in columns and not all(_all_finite(leaf) for leaf in _leaves(columns[name])):
            return None
    prompt, truth = columns["prompt"], pc.struct_field(columns["reward_model"], "ground_truth")
    odd = _mask(pc.or_(pc.is_null(prompt), pc.is_null(truth)))
    if columns["reward_model"].type.get_field_index("encoding") >= 0:
        odd |= _mask(pc.is_valid(pc.struct_field(columns["reward_model"], "encoding")))
    if "difficulty" in columns and pa.types.is_floating(columns["difficulty"].type):
        odd |= _mask(pc.is_inf(columns["difficulty"]))
    last, odd_prompts = _last_user_messages(prompt)
    odd |= odd_prompts
    # Rows without any message point at the first one and are odd.
    contents = pc.struct_field(pc.list_flatten(prompt), "content")
    texts = contents.take(pa.array(last)).to_pylist() if len(contents) else [""] * len(batch)
    domains: list[str] = []
    if domain is None:
        own = _own_domains(columns, len(batch))
        odd |= _mask(pc.is_null(own))
        domains = own.to_pylist()
    chosen = np.ones(len(batch), bool) if split is None else _mask(pc.equal(_splits(columns, len(batch)), split))
    return BatchSurvey(chosen, odd, texts, domains)


def _types_are_those_of_the_schema(columns: dict[str, pa.Array]) -> bool:
    prompt = columns["prompt"].type if "prompt" in columns else pa.null()
    reward = columns["reward_model"].type if "reward_model" in columns else pa.null()
    if not (pa.types.is_list(prompt) or pa.types.is_large_list(prompt)) or not pa.types.is_struct(prompt.value_type):
        return False
    message = {field.name: field.type for field in prompt.value_type}
    if not all(name in message and _is_text(message[name]) for name in ("role", "content")):
        return False
    if not pa.types.is_struct(reward) or reward.get_field_index("ground_truth") < 0:
        return False
    style = reward.get_field_index("style")
    texts = [columns[name].type for name in ("data_source", "ability", "domain") if name in columns]
    texts += [reward.field(style).type] if style >= 0 else []
    if not all(_is_text(kind) or pa.types.is_null(kind) for kind in texts):
        return False
    number = columns["difficulty"].type if "difficulty" in columns else pa.null()
    if not (pa.types.is_null(number) or pa.types.is_integer(number) or pa.types.is_floating(number)):
        return False
    extra = columns["extra_info"].type if "extra_info" in columns else pa.null()
    return (pa.types.is_null(extra) or pa.types.is_struct(extra)) and _has_json_form(extra) and _has_json_form(reward)


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _has_json_form(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return all(_has_json_form(field.type) for field in kind)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _has_json_form(kind.value_type)
    plain = (pa.types.is_null, pa.types.is_boolean, pa.types.is_integer, pa.types.is_floating, _is_text)
    return any(check(kind) for check in plain)


def _leaves(values: pa.Array) -> Iterator[pa.Array]:
    """The columns of numbers and texts inside a nested column."""
    if pa.types.is_struct(values.type):
        for part in values.flatten():
            yield from _leaves(part)
    elif pa.types.is_list(values.type) or pa.types.is_large_list(values.type):
        yield from _leaves(values.flatten())
    else:
        yield values


def _all_finite(values: pa.Array) -> bool:
    return not pa.types.is_floating(values.type) or pc.all(pc.is_finite(values), min_count=0).as_py()


def _last_user_messages(prompt: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Place of each row's last user message (or last message) among all messages, and which rows are odd."""
    size = len(prompt)
    parents = pc.list_parent_indices(prompt).to_numpy(zero_copy_only=False)
    messages = pc.list_flatten(prompt)
    roles, contents = pc.struct_field(messages, "role"), pc.struct_field(messages, "content")
    bad = _mask(pc.or_(pc.is_null(contents), pc.invert(pc.is_in(roles, pa.array(ROLES, roles.type)))))
    odd = np.ones(size, bool)
    odd[parents] = False  # those with a message at all
    odd[parents[bad]] = True
    last = np.zeros(size, np.int64)
    np.maximum.at(last, parents, np.arange(len(parents)))
    users = np.flatnonzero(_mask(pc.equal(roles, "user")))
    with_user = np.zeros(size, bool)
    with_user[parents[users]] = True
    last[with_user] = 0
    np.maximum.at(last, parents[users], users)
    return last, odd


def _own_domains(columns: dict[str, pa.Array], size: int) -> pa.Array:
    nothing = pa.nulls(size, pa.large_string())
    found = [nothing]
    for name in ("domain", "data_source"):
        if name in columns and not pa.types.is_null(columns[name].type):
            texts = columns[name].cast(pa.large_string())
            found.append(pc.if_else(pc.equal(texts, ""), nothing, texts))
    return pc.coalesce(*found)


def _splits(columns: dict[str, pa.Array], size: int) -> pa.Array:
    extra = columns.get("extra_info")
    if extra is None or not pa.types.is_struct(extra.type) or extra.type.get_field_index("split") < 0:
        return pa.nulls(size, pa.string())
    splits = pc.struct_field(extra, "split")
    return splits if _is_text(splits.type) else pa.nulls(size, pa.string())


def _mask(values: pa.Array) -> np.ndarray:
    """Truth values as NumPy, unknown ones as false."""
    return values.fill_null(False).to_numpy(zero_copy_only=False)
