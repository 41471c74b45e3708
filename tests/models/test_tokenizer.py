# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The wrapper around fast tokenizers: stop ids, padding, chat templates, saving."""

import json
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from grpo_jax.models.tokenizer import HuggingFaceTokenizer
from grpo_jax.records import ConfigError
from tests.fakes.byte_tokenizer import PAD_ID, STOP_ID, ByteTokenizer

_TEXT = "It's 12.5% of 1024\n\t<stop> é汉🙂"


def _edit(path: Path, **fields: object) -> None:
    config = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    path.write_text(json.dumps({**config, **fields}), encoding="utf-8")


def test_the_byte_tokenizer_and_its_saved_folder_give_the_same_ids(tmp_path: Path) -> None:
    fake = ByteTokenizer()
    fake.save(tmp_path)
    saved = HuggingFaceTokenizer.from_folder(tmp_path)
    messages = [{"role": "system", "content": "Be brief.\n"}, {"role": "user", "content": "1 + 1 = é?"}]
    plain = _TEXT.replace("<stop>", "stop")

    assert saved.encode(plain) == fake.encode(plain)
    assert saved.encode_chat(messages) == fake.encode_chat(messages)
    assert saved.decode([*fake.encode(plain), STOP_ID]) == fake.decode([*fake.encode(plain), STOP_ID]) == plain
    assert (saved.vocab_size, saved.pad_id, saved.stop_ids) == (fake.vocab_size, fake.pad_id, fake.stop_ids)


def test_stop_ids_come_from_tokenizer_config_and_generation_config(tmp_path: Path) -> None:
    ByteTokenizer().save(tmp_path)
    _edit(tmp_path / "config.json", eos_token_id=7)
    _edit(tmp_path / "generation_config.json", eos_token_id=[STOP_ID, 5])

    assert HuggingFaceTokenizer.from_folder(tmp_path).stop_ids == (5, 7, STOP_ID)


def test_a_tokenizer_without_padding_pads_with_a_stop_id(tmp_path: Path) -> None:
    ByteTokenizer().save(tmp_path)
    _edit(tmp_path / "tokenizer_config.json", pad_token=None)

    assert HuggingFaceTokenizer.from_folder(tmp_path).pad_id == STOP_ID


def test_no_stop_id_at_all_is_refused(tmp_path: Path) -> None:
    ByteTokenizer().save(tmp_path)
    _edit(tmp_path / "tokenizer_config.json", eos_token=None)

    with pytest.raises(ConfigError, match="nothing says which token ends a completion; set eos_token"):
        HuggingFaceTokenizer.from_folder(tmp_path)


def test_a_missing_chat_template_is_refused_where_it_is_needed(tmp_path: Path) -> None:
    ByteTokenizer().save(tmp_path)
    (tmp_path / "chat_template.jinja").unlink()
    tokenizer = HuggingFaceTokenizer.from_folder(tmp_path)

    assert tokenizer.encode("a") == [97]
    with pytest.raises(ConfigError, match="no chat template; use an instruct model"):
        tokenizer.encode_chat([{"role": "user", "content": "a"}])


def test_a_folder_without_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no tokenizer\.json"):
        HuggingFaceTokenizer.from_folder(tmp_path)


def test_saving_keeps_ids_padding_and_template(tmp_path: Path) -> None:
    ByteTokenizer().save(tmp_path / "a")
    first = HuggingFaceTokenizer.from_folder(tmp_path / "a")
    (tmp_path / "b").mkdir()
    first.save(tmp_path / "b")
    second = HuggingFaceTokenizer.from_folder(tmp_path / "b")
    messages = [{"role": "user", "content": "hi"}]

    assert second.encode(_TEXT) == first.encode(_TEXT)
    assert second.encode_chat(messages) == first.encode_chat(messages)
    assert (second.pad_id, second.stop_ids) == (PAD_ID, (STOP_ID,))


def test_single_digits_of_smollm2_survive_reading_and_saving(shared_data: Path, tmp_path: Path) -> None:
    tokenizer = HuggingFaceTokenizer.from_folder(shared_data / "tokenizers" / "smollm2-135m-instruct")
    tokenizer.save(tmp_path)
    saved = AutoTokenizer.from_pretrained(tmp_path)
    ids = tokenizer.encode("1024\t\t37")

    assert [tokenizer.decode([token_id]) for token_id in tokenizer.encode("1024")] == ["1", "0", "2", "4"]
    assert saved.encode("1024\t\t37", add_special_tokens=False) == ids
    assert "extra_special_tokens" not in json.loads((tmp_path / "tokenizer_config.json").read_text(encoding="utf-8"))
