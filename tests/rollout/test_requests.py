# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from grpo_jax.config import Domain, RunConfig, SamplingConfig
from grpo_jax.models.tokenizer import HuggingFaceTokenizer
from grpo_jax.records import ConfigError
from grpo_jax.rollout.requests import check_stops
from tests.fakes.byte_tokenizer import STOP_ID, VOCAB_SIZE, ByteTokenizer


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    ByteTokenizer().save(folder)
    return HuggingFaceTokenizer.from_folder(folder)


def config(run_wide, domain):
    return RunConfig(sampling=SamplingConfig(**run_wide), domains={"math": Domain(**domain)})


@pytest.mark.parametrize(
    ("run_wide", "domain", "message"),
    [
        ({"stop": ("x", "<stop>")}, {}, f"sampling.stop holds '<stop>'.*use sampling.stop_token_ids={STOP_ID}"),
        ({}, {"stop": ("<pad>",)}, "domains.math.stop holds '<pad>'"),
        ({"stop_token_ids": (VOCAB_SIZE,)}, {}, f"sampling.stop_token_ids holds {VOCAB_SIZE}.* end at {STOP_ID}"),
        ({}, {"stop_token_ids": (10**6,)}, "domains.math.stop_token_ids holds 1000000"),
    ],
)
def test_a_stop_that_can_never_be_met_is_refused(tokenizer, run_wide, domain, message):
    with pytest.raises(ConfigError, match=message):
        check_stops(config(run_wide, domain), tokenizer)


def test_texts_and_spaces_may_stop_a_completion(tokenizer):
    check_stops(config({"stop": ("\n\n", " ", "</answer>", "€")}, {"stop_token_ids": (STOP_ID,)}), tokenizer)
