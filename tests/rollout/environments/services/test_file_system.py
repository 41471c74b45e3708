# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The file system as the policy calls it: calls that would take any time or memory are refused."""

from grpo_jax.rollout.environments.services.service import READY, Services


def file_system(**files):
    contents = {name: {"type": "file", "content": text} for name, text in files.items()}
    return Services({"GorillaFileSystem": {"root": {"home": {"contents": contents}}}}, READY)


def test_lines_that_differ_are_shown_with_their_file():
    services = file_system(one="a\nb\nc\n--d", two="a\nx\nc\n--d\n+e")
    assert services.call("diff", {"file_name1": "one", "file_name2": "two"}) == {"diff_lines": "- b\n+ x\n+ +e"}
    assert services.call("diff", {"file_name1": "one", "file_name2": "one"}) == {"diff_lines": ""}


def test_files_of_many_lines_are_not_compared():
    services = file_system(one="a\n" * 1001, two="b")
    assert "1000 lines" in services.call("diff", {"file_name1": "one", "file_name2": "two"})["error"]


def test_copies_of_copies_end_where_the_device_is_full():
    services = file_system()
    services.call("mkdir", {"dir_name": "a"})
    told = []
    for number in range(20):
        told.append(services.call("cp", {"source": "a", "destination": f"b{number}"}))
        services.call("mv", {"source": f"b{number}", "destination": "a"})
    assert "error" not in told[8]
    assert "No space left" in told[-1]["error"]


def test_only_text_is_written():
    services = file_system()
    for content in (5, {"a": "b"}, [["c"]], None):
        assert "text" in services.call("echo", {"content": content, "file_name": "x"})["error"]
    assert services.call("ls", {}) == {"current_directory_content": []}
