"""Chats: what goes to the model's template, and how prompts that look like chats are read."""

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.model

TALK = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Name a colour."},
    {"role": "assistant", "content": "Red."},
    {"role": "user", "content": "Another one?"},
]


def explained(headwater, tmp_path, *args):
    done = headwater("explain", *args, "-n", "1", "--threads", "2", "--method", "attention", "-o", "r.json")
    assert done.status == 0, done
    return done, json.loads((tmp_path / "r.json").read_text())["run"]


def text_of(run):
    n = len(run["prompt"])
    return "".join(t["text"] for t in run["tokens"] if t["role"] != "completion"), n


def test_the_models_own_template_is_rendered(headwater, smollm, tmp_path):
    done, run = explained(headwater, tmp_path, "-m", smollm, "--chat", "-p", "Who are you?")
    assert text_of(run)[0] == (
        "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
        "<|im_start|>user\nWho are you?<|im_end|>\n<|im_start|>assistant\n"
    )
    assert run["prompt"] == "Who are you?" and run["messages"] == [{"range": [0, 12], "role": "user"}]
    assert "headwater:" not in done.err


def test_messages_and_a_system_message(headwater, smollm, tmp_path):
    (tmp_path / "talk.json").write_bytes(b"\xef\xbb\xbf" + json.dumps(TALK).encode())
    _, run = explained(headwater, tmp_path, "-m", smollm, "--messages", "talk.json")
    assert run["prompt"] == "\n\n".join(m["content"] for m in TALK)
    assert [m["role"] for m in run["messages"]] == [m["role"] for m in TALK]
    prompt = run["prompt"].encode()
    assert [prompt[slice(*m["range"])].decode() for m in run["messages"]] == [m["content"] for m in TALK]
    _, by_option = explained(headwater, tmp_path, "-m", smollm, "--system", "Be brief.", "-p", "Name a colour.")
    (tmp_path / "two.json").write_text(json.dumps(TALK[:2]))
    _, by_file = explained(headwater, tmp_path, "-m", smollm, "--messages", "two.json")
    assert by_option["tokens"] == by_file["tokens"]


def test_roles_are_hidden_by_name(headwater, smollm, tmp_path):
    (tmp_path / "talk.json").write_text(json.dumps(TALK))
    args = [
        "-m", smollm, "--messages", "talk.json", "-n", "1", "--threads", "2", "--method", "attention", "--top", "40"
    ]
    done = headwater("explain", *args, "--hide", "template,user,system")
    assert done.status == 0, done
    listed = done.out.split("#: token")[1]
    assert "Red" in listed and "colour" not in listed and "brief" not in listed and "im_start" not in listed


def test_thinking_is_refused_where_the_template_does_not_know_it(headwater, smollm):
    done = headwater("explain", "-m", smollm, "--thinking", "off", "-p", "Hi", "-n", "1")
    assert done.status == 1 and "thinking off: the chat template writes the same with thinking on and off" in done.err


def test_another_template_from_a_file(headwater, smollm, tmp_path):
    (tmp_path / "t.jinja").write_text("{% for m in messages %}[{{ m.role }}] {{ m.content }}\n{% endfor %}[bot]"
                                      "{% if not enable_thinking %} quick{% endif %}")
    args = ["-m", smollm, "--chat-template", "t.jinja", "-p", "Hi"]
    assert text_of(explained(headwater, tmp_path, *args)[1])[0] == "[user] Hi\n[bot]"
    assert text_of(explained(headwater, tmp_path, *args, "--thinking", "off")[1])[0] == "[user] Hi\n[bot] quick"
    (tmp_path / "t.jinja").write_text("{% for m in %}")
    done = headwater("explain", *args, "-n", "1")
    assert done.status == 1 and "the chat template does not render" in done.err and done.err.count("\n") == 1


@pytest.mark.parametrize(
    "content, part",
    [
        ("{}", "a list with at least one"),
        ("[]", "a list with at least one"),
        ('[{"role": "user"}]', '[0]: "content" must be there'),
        ('[{"content": "x"}]', '[0]: "role" must be there'),
        (
            '[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]',
            '[0]: each part of "content" must be',
        ),
        ('[{"role": "user", "content": [{"type": "text"}]}]', '[0]: each part of "content" must be'),
        ('[{"role": "user", "content": ""}]', "the messages are empty"),
        ("[", "no valid JSON"),
    ],
)
def test_bad_messages_are_named(headwater, smollm, tmp_path, content, part):
    (tmp_path / "m.json").write_text(content)
    done = headwater("explain", "-m", smollm, "--messages", "m.json", "-n", "1")
    assert done.status == 1 and part in done.err, done


def test_options_that_do_not_go_together(headwater):
    done = headwater("explain", "-m", "x.gguf", "--messages", "m.json", "-p", "Hi")
    assert done.status == 2 and "more than one prompt" in done.err
    done = headwater("explain", "-m", "x.gguf", "--messages", "m.json", "--system", "Hi")
    assert done.status == 2 and "--system cannot be combined with --messages" in done.err


def test_a_pasted_chat_is_remarked_on_and_read_where_asked_for(headwater, smollm, tmp_path):
    pasted = "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    done, run = explained(headwater, tmp_path, "-m", smollm, "-p", pasted)
    assert "the prompt holds the text of a control token, <|im_start|>, read as text" in done.err
    assert run["remarks"] and {t["role"] for t in run["tokens"]} == {"prompt", "completion"}
    done, run = explained(headwater, tmp_path, "-m", smollm, "--special", "-p", pasted)
    assert done.err == "" or "control token" not in done.err
    special = [(t["text"], t["range"]) for t in run["tokens"] if t["role"] == "special"]
    assert special == [("<|im_start|>", [0, 12]), ("<|im_end|>", [19, 29]), ("<|im_start|>", [30, 42])]
    assert "remarks" not in run and run["options"]["special"] is True


def test_odd_bytes_are_remarked_on(headwater, smollm, tmp_path):
    (tmp_path / "p.txt").write_bytes(b"\xef\xbb\xbfcaf\xe9 one\r\ntwo")
    done, run = explained(headwater, tmp_path, "-m", smollm, "-f", "p.txt")
    assert "the prompt is not UTF-8: byte 3 " in done.err and "end in CRLF, the first at byte 8" in done.err
    assert "byte order mark" not in done.err, "that of a file is passed over"
    done, _ = explained(headwater, tmp_path, "-m", smollm, "-p", "\ufeffHi")
    assert "begins with a byte order mark" in done.err
    assert headwater("explain", "-m", smollm, "-p", "\ufeffHi", "-n", "1", "-q").err == ""


def test_info_says_whether_the_template_renders(headwater, smollm):
    assert "chat template   yes, it renders" in headwater("info", "-m", smollm).out


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """Random models of several architectures."""
    folder = tmp_path_factory.mktemp("tiny")
    subprocess.run([sys.executable, "scripts/make_tiny_models.py", folder], check=True, stdout=subprocess.DEVNULL)
    return folder


def test_why_a_model_does_not_load_is_said(headwater, tiny, tmp_path):
    data = bytearray((tiny / "llama.gguf").read_bytes())
    at = data.find(b"output_norm.weight")
    data[at:at + 6] = b"outqut"
    (tmp_path / "bad.gguf").write_bytes(data)
    done = headwater("info", "-m", "bad.gguf")
    assert done.status == 1 and "tensor 'output_norm.weight' not found" in done.err, done


def test_content_in_parts_is_one_text(headwater, smollm, tmp_path):
    """As OpenAI's clients send it; joined as llama-server joins them."""
    whole = [{"role": "user", "content": "Name a colour.\nOne word."}]
    parts = [
        {"role": "user", "content": [{"type": "text", "text": "Name a colour."}, {"type": "text", "text": "One word."}]}
    ]
    runs = []
    for name, messages in ("whole.json", whole), ("parts.json", parts):
        (tmp_path / name).write_text(json.dumps(messages))
        assert headwater("explain", "-m", smollm, "--messages", name, "-n", "1", "-o", "r.json", "-q").status == 0
        runs.append(json.loads((tmp_path / "r.json").read_text())["run"])
    assert runs[0]["prompt"] == runs[1]["prompt"] == "Name a colour.\nOne word."
    assert [t["id"] for t in runs[0]["tokens"]] == [t["id"] for t in runs[1]["tokens"]]
