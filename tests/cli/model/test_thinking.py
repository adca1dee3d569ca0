"""Thinking sections in prompt and completion: role, filter, terminal, page data."""

import json
import re

PROMPT = "<think>red or blue</think> The sky is"


def explained(headwater, model, tmp_path, completion, *more):
    path = tmp_path / "a.json"
    fixed = ("--completion", completion, "--method", "rollout")
    done = headwater("explain", "-m", model, "-p", PROMPT, *fixed, "-o", path, *more)
    assert done.status == 0, done.err
    return json.loads(path.read_text())["run"], done


def joined(run, role, side):
    m = run["n_prompt"]
    tokens = run["tokens"][:m] if side == "prompt" else run["tokens"][m:]
    return "".join(t["text"] for t in tokens if t["role"] == role)


def test_a_section_has_its_role_in_prompt_and_completion(headwater, smollm, tmp_path):
    run, _ = explained(headwater, smollm, tmp_path, " <think>so, blue</think> blue")
    assert joined(run, "thinking", "prompt") == "<think>red or blue</think>"
    assert joined(run, "thinking", "completion") == " <think>so, blue</think>"
    assert joined(run, "completion", "completion") == " blue" and joined(run, "prompt", "prompt") == " The sky is"


def test_what_came_through_the_thinking(headwater, smollm, tmp_path):
    """Followed, the answer says how much came through it; of a section that does not end all is thinking."""
    for text in (" <think>it is blue</think> blue", " <think>it is blue", " It is blue"):
        done = headwater("explain", "-m", smollm, "-p", PROMPT, "--completion", text, "--method", "logit", "--through")
        assert done.status == 0, done.err
        assert ("through its thinking" in done.out) == ("<think>" in text)
    cited = headwater("cite", "-m", smollm, "-p", PROMPT, "--completion", " <think>it is blue</think> blue")
    assert "through its thinking" in " ".join(cited.out.split())


def test_a_section_that_does_not_end(headwater, smollm, tmp_path):
    run, _ = explained(headwater, smollm, tmp_path, " Well <think>so, blue")
    assert joined(run, "thinking", "completion") == " <think>so, blue"


def test_a_saved_trace_without_the_role_gets_it(headwater, smollm, tmp_path):
    run, _ = explained(headwater, smollm, tmp_path, " <think>so</think> blue", "--trace", tmp_path / "t.safetensors")
    data = (tmp_path / "t.safetensors").read_bytes()
    n = int.from_bytes(data[:8], "little")
    header = json.loads(data[8:8 + n])
    old = json.loads(header["__metadata__"]["run"])
    m = old.pop("n_prompt")
    for t, token in enumerate(old["tokens"]):
        token.pop("thinking", None)
        if token["role"] == "thinking":
            token["role"] = "prompt" if t < m else "completion"
    header["__metadata__"]["run"] = json.dumps(old)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    (tmp_path / "old.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + data[8 + n:])
    done = headwater("view", tmp_path / "old.safetensors", "-o", tmp_path / "b.json")
    assert done.status == 0, done.err
    assert json.loads((tmp_path / "b.json").read_text())["run"]["tokens"] == run["tokens"]


def test_the_terminal_shows_it_pale_and_the_filter_hides_it(headwater, smollm, tmp_path):
    more = ("--color", "always", "--hide", "thinking")
    _, done = explained(headwater, smollm, tmp_path, " <think>so</think> blue", *more)
    assert re.search(r"\x1b\[2mso\x1b\[0m", done.out) and not re.search(r"\x1b\[2m blue", done.out)
    page = tmp_path / "a.html"
    assert headwater("explain", "-m", smollm, "-p", PROMPT, "--completion", " blue", "-o", page).status == 0
    assert '"role":"thinking"' in page.read_text()
