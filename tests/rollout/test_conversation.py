# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Ids of a conversation: sampled ones stay as they are, and the rest is what the chat template writes."""

import asyncio
import json

import numpy as np
import pytest

from grpo_jax.config import DataConfig, Domain, RunConfig, SamplingConfig
from grpo_jax.models.tokenizer import HuggingFaceTokenizer
from grpo_jax.records import Problem, Prompt
from grpo_jax.rollout.conversation import Clock, Conversation
from grpo_jax.rollout.trajectory import NonsenseError, as_completion
from tests.fakes.groups import make_prompt
from tests.fakes.scripted_sampler import ScriptedSampler

LLAMA_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ '<|start_header_id|>' + ('ipython' if message.role == 'tool' else message.role) + '<|end_header_id|>\n\n' }}"
    "{{ message.content | trim }}{{ '<|eot_id|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
TOOL = {
    "type": "function",
    "function": {"name": "add", "description": "Adds.", "parameters": {"type": "object", "properties": {}}},
}
ANSWERS = ["  Well ,", '<tool_call>\n{"name": "add", "arguments": {"a": 1}}\n</tool_call>', "naïve 4 2", ""]
"""Texts whose ids a tokenizer would not always give again."""


@pytest.fixture(scope="module", params=["qwen2.5", "smollm2-135m-instruct", "llama"])
def tokenizer(request, shared_data):
    folder = shared_data / "tokenizers" / ("smollm2-135m-instruct" if request.param == "llama" else request.param)
    own = HuggingFaceTokenizer.from_folder(folder)
    if request.param != "llama":
        return own
    wrapped = own.transformers_tokenizer
    wrapped.add_special_tokens(
        {
            "bos_token": "<|begin_of_text|>",
            "eos_token": "<|eot_id|>",
            "additional_special_tokens": ["<|start_header_id|>", "<|end_header_id|>"],
        }
    )
    wrapped.chat_template = LLAMA_TEMPLATE
    return HuggingFaceTokenizer(wrapped)


def converse(tokenizer, answer, dialogue, config=None, prompt=None):
    """What a function that asks in turn got, with the sampler that was asked."""
    config = config or RunConfig(
        domains={"plain": Domain()},
        sampling=SamplingConfig(max_completion_tokens=2000),
        data=DataConfig(max_prompt_tokens=1000),
    )
    messages = ({"role": "user", "content": "Hello  there"},)
    if prompt is None:
        prompt = Prompt(Problem("p", "plain", messages, ""), np.asarray(tokenizer.encode_chat(messages), np.int32))
    sampler = ScriptedSampler(answer)

    async def ask(request, partial):
        ticket = sampler.submit(request, partials=[partial], step=0)
        return next(sample.completion for sample in sampler.advance() if sample.request == ticket)

    async def run():
        generate = Conversation(config, tokenizer, prompt, 0, 0, ask, Clock(60.0, lambda: None))
        turn = await generate(messages)
        for said in dialogue:
            turn = await generate(said, after=turn)
        generate.clock.stop()
        return turn

    return asyncio.run(run()), sampler


def test_what_is_trained_is_what_was_sampled_and_the_text_is_the_templates(tokenizer):
    rng = np.random.default_rng(0)
    stop = tokenizer.stop_ids[0] if len(tokenizer.stop_ids) == 1 else tokenizer.transformers_tokenizer.eos_token_id
    end = int(tokenizer.encode_reply([{"role": "user", "content": "x"}])[0])
    assert end in tokenizer.stop_ids or end == stop
    sampled = []

    def answer(request, partial):
        # Random cuts of the text into tokens, as a sampler at a high temperature makes them.
        text = ANSWERS[len(sampled) % len(ANSWERS)]
        pieces = [text[i : i + 1 + int(rng.integers(3))] for i in range(0, len(text), 3)]
        ids = [token for piece in pieces for token in tokenizer.encode(piece)]
        sampled.append([*ids, end])
        return sampled[-1]

    dialogue = [
        [{"role": "tool", "name": "add", "content": '{"result": 3}'}],
        [{"role": "user", "content": " and  now? "}],
        [{"role": "user", "content": "so"}],
    ]
    turn, sampler = converse(tokenizer, answer, dialogue)
    prompt = sampler.asked[0][0].token_ids
    completion = as_completion(turn, len(prompt))
    assert [completion.token_ids[completion.turns == number].tolist() for number in range(4)] == sampled
    for (_, before), (_, after), own in zip(sampler.asked, sampler.asked[1:], sampled, strict=False):
        given = [*before.token_ids.tolist(), *own]
        assert after.token_ids[: len(given)].tolist() == given
    own_text = [tokenizer.transformers_tokenizer.decode(ids[:-1]) for ids in sampled]
    messages = [{"role": "user", "content": "Hello  there"}]
    for text, said in zip(own_text, dialogue, strict=False):
        messages += [{"role": "assistant", "content": text}, *said]
    context = [*prompt.tolist(), *sampler.asked[-1][1].token_ids.tolist()]
    if all(text == text.strip() for text in own_text):
        rendered = tokenizer.transformers_tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True
        )
        assert tokenizer.transformers_tokenizer.decode(context) == rendered


def test_a_turn_cut_by_its_limit_is_closed_by_the_template(tokenizer):
    turn, _ = converse(
        tokenizer, lambda request, partial: tokenizer.encode("uh"), [[{"role": "user", "content": "go"}]]
    )
    context = tokenizer.transformers_tokenizer.decode(turn.context)
    messages = [{"role": "user", "content": "Hello  there"}, {"role": "assistant", "content": "uh"}]
    wanted = tokenizer.transformers_tokenizer.apply_chat_template(
        [*messages, {"role": "user", "content": "go"}], tokenize=False, add_generation_prompt=True
    )
    assert context == wanted


def test_qwen_shows_the_tools_and_wraps_their_results(shared_data):
    tokenizer = HuggingFaceTokenizer.from_folder(shared_data / "tokenizers" / "qwen2.5")
    shown = tokenizer.transformers_tokenizer.decode(
        tokenizer.encode_chat([{"role": "user", "content": "1 + 2?"}], [TOOL])
    )
    assert "<tools>" in shown
    assert json.dumps(TOOL["function"]["name"]) in shown
    reply = tokenizer.encode_reply([{"role": "tool", "content": "3"}, {"role": "tool", "content": "4"}])
    text = tokenizer.transformers_tokenizer.decode(reply)
    assert text.startswith("<|im_end|>")
    assert text.count("<tool_response>") == 2
    assert text.endswith("<|im_start|>assistant\n")


def test_a_conversation_that_is_too_long_to_begin_is_refused():
    from tests.fakes.byte_tokenizer import ByteTokenizer

    config = RunConfig(domains={"plain": Domain()}, data=DataConfig(max_prompt_tokens=4))
    with pytest.raises(NonsenseError, match="max_prompt_tokens"):
        converse(ByteTokenizer(), lambda request, partial: [98], [], config, make_prompt([1]))
