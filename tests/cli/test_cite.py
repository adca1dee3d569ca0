"""`headwater cite`: exact output on made traces whose logit effects are known, then a real model, then what it
refuses."""

import json
import os
import pathlib
import re
import signal
import subprocess

import numpy as np
import pytest
from conftest import causal, environment
from patience import HANG_S, until, until_caught
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

PASSAGES = [
    {"name": "Notes", "text": "The key is in the blue cup."},
    {"name": "Diary", "text": "Oscar saw it on Monday."},
    {"name": "Report", "text": "Paula plays the harp."},
]
QUESTION = "Where is the key?"
BUILT = ("Notes: The key is in the blue cup.\n\nDiary: Oscar saw it on Monday.\n\nReport: Paula plays the harp.\n\n"
         "Question: Where is the key?")


def tokens_of(text):
    """Words with the space before them, marks and line ends, as a tokenizer cuts them."""
    return re.findall(r"\n+| ?\w+| ?[^\w\s]|\s", text)


def balance_of(prompt, completion, mlp):
    zero = {"bias": 0.0, "embedding": 0.0}
    return {"prompt": prompt, "completion": completion, "mlp": mlp, "logit": prompt + completion + mlp, **zero}


@pytest.fixture
def logit_trace(headwater, attention_file, tmp_path):
    """logit_trace(prompt tokens, completion tokens, {(i, k): nats}, mlp=[...]) is a trace whose completion token i took
    so much from token k, in two layers of equal parts."""

    def write(prompt, completion, nats, mlp=None, name="made.safetensors"):
        tokens, m, n = [*prompt, *completion], len(prompt), len(completion)
        path = attention_file(causal(2, len(tokens)), m=m, tokens=tokens).name
        assert headwater("explain", "--attention", path, "--trace", name).status == 0
        signal_logit = np.zeros((2, n + 1, len(tokens)), np.float32)
        for (i, k), v in nats.items():
            signal_logit[:, i, k] = v / 2
        sums = signal_logit.sum(0)
        balance = [
            balance_of(float(sums[i, :m].sum()), float(sums[i, m:].sum()), float(mlp[i]) if mlp and i < n else 0.0)
            for i in range(n + 1)
        ]
        with safe_open(tmp_path / name, "np") as file:
            metadata = file.metadata() | {"balance": json.dumps(balance)}
        save_file(load_file(tmp_path / name) | {"signal.logit": signal_logit}, tmp_path / name, metadata=metadata)
        return name

    return write


@pytest.fixture
def passages_file(tmp_path):
    def write(passages=PASSAGES, name="passages.json"):
        (tmp_path / name).write_text(json.dumps(passages), encoding="utf-8")
        return name

    return write


PROMPT = tokens_of(BUILT)
ANSWER = tokens_of("It is in the blue cup. Oscar saw the cup on Monday. I hope that helps! Bye")
HIT = {word: PROMPT.index(word) for word in (" blue", " cup", " Monday", " Paula", " key", " saw")}


def at(word, nth=0):
    return [i for i, token in enumerate(ANSWER) if token == word][nth]


@pytest.fixture
def made(logit_trace):
    """Sentence 0 took `blue cup` from Notes, sentence 1 `Monday` from Diary and ` cup` from Notes, 2 and 3 nothing
    much."""
    nats = {
        (at(" blue"), HIT[" blue"]): 6,
        (at(" cup"), HIT[" cup"]): 2,
        (at(" cup"), HIT[" blue"]): 1,
        (at(" cup", 1), HIT[" cup"]): 3,
        (at(" Monday"), HIT[" Monday"]): 5,
        (at(" saw"), HIT[" saw"]): 1,
        (at(" Monday"), len(PROMPT) + 3): 5,
        (at(" hope"), HIT[" Paula"]): 0.5,
        (0, HIT[" key"]): -2,
        (1, len(PROMPT) - 1): 4,
    }
    mlp = [4.0] * len(ANSWER)
    return logit_trace(PROMPT, ANSWER, nats, mlp)


# ---------------------------------------------------------------------- exact output


def test_output_is_exact(headwater, made, passages_file, expected):
    done = headwater("cite", "--trace", made, "--passages", passages_file())
    assert (done.status, done.err) == (0, "")
    expected("cite", done.out)


def test_output_in_colour_is_exact(headwater, made, passages_file, expected):
    done = headwater("cite", "--trace", made, "--passages", passages_file(), "--color", "always")
    assert (done.status, done.err) == (0, "")
    expected("cite_colour", done.out)
    assert (
        re.sub(r"\x1b\[[\d;]*m", "", done.out) == headwater("cite", "--trace", made, "--passages", "passages.json").out
    )


@pytest.mark.parametrize("columns", [20, 40, 60])
def test_output_fits_a_narrow_terminal(headwater, made, passages_file, expected, columns):
    done = headwater("cite", "--trace", made, "--passages", passages_file(), env={"COLUMNS": str(columns)})
    assert done.status == 0
    body = done.out[done.out.index("\n\n"):]  # the answer itself is printed as it is
    assert all(len(line) <= max(columns, 40) for line in body.splitlines()), done.out
    if columns == 40:
        expected("cite_narrow", done.out)


def test_sentences_of_the_prompt_stand_in_for_passages(headwater, made, expected):
    done = headwater("cite", "--trace", made)
    assert (done.status, done.err) == (0, "")
    expected("cite_by_sentence", done.out)


def test_hostile_and_multi_byte_text(headwater, logit_trace, passages_file, expected, tmp_path):
    passages = [
        {"name": "\u202eevil\x1b[31m", "text": "日本の猫です。"},
        {"name": "🦩\n", "text": "x\x07\x1b]0;title\x07\u200b"},
    ]
    prompt = ["日本", "の", "猫", "です", "。", "\n\n", "x", "\x07", "\x1b", "]0;title\x07", "\u200b", "\n", "Q"]
    answer = ["猫", "です", "。", "\x1b[2J", "!", " 𒀀", " ende"]
    trace = logit_trace(prompt, answer, {(0, 2): 3, (3, 8): 9, (5, 0): 2}, [2.0] * len(answer))
    done = headwater("cite", "--trace", trace, "--passages", passages_file(passages))
    assert (done.status, done.err) == (0, "")
    assert not set(done.out) & set("\x1b\x07\u202e\u200b")
    expected("cite_hostile", done.out)
    headwater("cite", "--trace", trace, "--passages", "passages.json", "-o", "c.json")
    saved = json.loads((tmp_path / "c.json").read_text(encoding="utf-8"))
    assert [saved["prompt"][slice(*p["characters"])] for p in saved["passages"]] == [
        "日本の猫です。",
        "x\x07\x1b]0;title\x07\u200b",
    ]


def test_one_token(headwater, logit_trace, passages_file, expected):
    trace = logit_trace(PROMPT, [" blue"], {(0, HIT[" blue"]): 6}, [4.0])
    done = headwater("cite", "--trace", trace, "--passages", passages_file())
    assert (done.status, done.err) == (0, "")
    expected("cite_one_token", done.out)


def test_noise_is_not_cited(headwater, logit_trace, passages_file, expected):
    nats = {(i, k): 0.1 for i in range(len(ANSWER)) for k in range(len(PROMPT))}
    trace = logit_trace(PROMPT, ANSWER, nats, [12.0] * len(ANSWER))
    done = headwater("cite", "--trace", trace, "--passages", passages_file())
    assert (done.status, done.err) == (0, "")
    assert "[1]" not in done.out
    expected("cite_none", done.out)
    assert "[1]" in headwater("cite", "--trace", trace, "--passages", "passages.json", "--min-peak", "0.01").out


def test_attention_alone_goes_by_what_is_typical(headwater, attention_file, passages_file, expected):
    tokens = [*PROMPT, *ANSWER]
    weights = np.zeros((1, len(tokens), len(tokens)))
    for q in range(len(tokens)):
        weights[0, q, :q + 1] = 1 / (q + 1)
    row = len(PROMPT) + at(" blue") - 1
    weights[0, row] *= 0.25
    weights[0, row, HIT[" blue"]] += 0.75
    assert (
        headwater(
            "explain", "--attention", attention_file(weights, m=len(PROMPT), tokens=tokens).name, "--trace", "t.st"
        ).status
        == 0
    )
    done = headwater("cite", "--trace", "t.st", "--passages", passages_file(), "--method", "attention")
    assert (done.status, done.err) == (0, "")
    expected("cite_attention", done.out)
    done = headwater("cite", "--trace", "t.st", "--passages", "passages.json")
    assert (done.status, done.out) == (1, ""), "it cites too badly to be taken unasked"
    assert "method logit needs the signal" in done.err


# ---------------------------------------------------------------------- the file


def test_the_file_says_what_the_view_says(headwater, made, passages_file, tmp_path):
    done = headwater(
        "cite", "--trace", made, "--passages", passages_file(), "--direct", "-o", "c.json", "-o", "again.json"
    )
    assert done.status == 0
    assert (tmp_path / "c.json").read_bytes() == (tmp_path / "again.json").read_bytes()
    saved = json.loads((tmp_path / "c.json").read_text(encoding="utf-8"))
    assert (saved["format"], saved["version"], saved["method"], saved["by"], saved["answer_by"]) == \
        ("headwater-citation", 1, "logit", None, "sentence")
    assert saved["rule"]["name"] == "share" and saved["rule"]["min_peak"] == 0.25
    prompt, completion = saved["prompt"].encode(), saved["completion"].encode()
    for given, passage in zip(PASSAGES, saved["passages"], strict=True):
        assert passage["name"] == given["name"]
        assert prompt[slice(*passage["range"])].decode() == f"{given['name']}: {given['text']}" == passage["text"]
    for part, text in [(p, saved["prompt"]) for p in saved["passages"]] + [
        (p, saved["completion"]) for p in saved["answer"]
    ]:
        assert text[slice(*part["characters"])] == part["text"]
    assert b"".join(completion[slice(*part["range"])] for part in saved["answer"]) == completion
    assert [part["text"].strip() for part in saved["answer"]] == \
        ["It is in the blue cup.", "Oscar saw the cup on Monday.", "I hope that helps!", "Bye"]
    assert [[c["number"] for c in part["citations"]] for part in saved["answer"]] == [[1], [1, 2], [], []]
    assert [p["number"] for p in saved["passages"]] == [1, 2, None]
    first = saved["answer"][0]["citations"][0]
    assert first["passage"] == 0 and first["peak_token"] == at(" blue") and first["peak"] == pytest.approx(6 / 10)
    # sentence 0: the blue cup, less what ` key` took away; 4 nats from the question; 7 tokens of 4 nats from the model
    assert first["share"] == pytest.approx(7 / (7 + 4 + 28))
    assert saved["shares"][0] == pytest.approx([7 / 39, 0, 0])
    assert saved["answer"][0]["elsewhere"] == pytest.approx(
        {"rest": 4 / 39, "answer": 0, "model": 28 / 39, "through": 0}
    )
    assert saved["scores"][0] == pytest.approx([1, 0, 0])
    assert saved["peaks"][1] == pytest.approx([3 / 7, 5 / 14, 0])
    whole = 7 + 3 + 6 + 0.5 + 4 + 5 + 4 * len(ANSWER)
    assert [p["share"] for p in saved["passages"]] == pytest.approx([10 / whole, 6 / whole, 0.5 / whole])
    assert [p["main_share"] for p in saved["passages"]] == pytest.approx([10 / 16, 6 / 16, 0])
    assert saved["elsewhere"] == pytest.approx(
        {"rest": 4 / whole, "answer": 5 / whole, "model": 4 * len(ANSWER) / whole, "through": 0}
    )


def test_what_came_from_the_answer_is_followed(headwater, made, passages_file, tmp_path):
    """` Monday` took 5 nats from ` the`, which came from the model alone; what lowered a token is none of its parts."""
    passages_file()
    assert headwater("cite", "--trace", made, "--passages", "passages.json", "-o", "c.json").status == 0
    saved = json.loads((tmp_path / "c.json").read_text(encoding="utf-8"))
    whole = 9 + 3 + 6 + 0.5 + 4 + 5 + 4 * len(ANSWER)
    assert saved["shares"][0] == pytest.approx([9 / 41, 0, 0])
    assert [p["share"] for p in saved["passages"]] == pytest.approx([12 / whole, 6 / whole, 0.5 / whole])
    model = (4 * len(ANSWER) + 5) / whole
    assert saved["elsewhere"] == pytest.approx({"rest": 4 / whole, "answer": 0, "model": model, "through": 5 / whole})
    assert saved["peaks"][1] == pytest.approx([3 / 7, 5 / 14, 0])
    refused = headwater("cite", "--trace", made, "--direct", "--through")
    assert (refused.status, refused.out) == (2, "") and "--direct and --through are opposites" in refused.err


def test_a_word_that_came_through_another(headwater, logit_trace, passages_file, tmp_path):
    """The first word is the passage's, the second came from the first alone: cited only where the answer is
    followed."""
    trace = logit_trace(PROMPT, [" blue", " sky"], {(0, HIT[" blue"]): 6, (1, len(PROMPT)): 3}, [2.0, 1.0])
    for flag, peaks, through in ((), [0.75, 0.75], 0.25), (("--direct",), [0.75, 0], 0):
        done = headwater(
            "cite", "--trace", trace, "--passages", passages_file(), "--answer-by", "token", *flag, "-o", "c.json"
        )
        assert done.status == 0
        saved = json.loads((tmp_path / "c.json").read_text(encoding="utf-8"))
        assert [row[0] for row in saved["peaks"]] == pytest.approx(peaks)
        assert saved["elsewhere"]["through"] == pytest.approx(through)
        assert [part.get("hops") for part in saved["answer"]] == (
            [None, None] if flag else [[0, 0], [pytest.approx(0.75), 0]]
        )


def test_what_is_spread_thinly_is_left_out(headwater, logit_trace, tmp_path):
    """Passages with less than a fifth of the highest share are counted apart where several have a part of the answer,
    unless one of them is cited."""
    words = (" blue", " cup", " Monday", " Paula")
    spans = [{"name": w.strip(), "begin": BUILT.index(w) + 1, "end": BUILT.index(w) + len(w)} for w in words]
    (tmp_path / "spans.json").write_text(json.dumps(spans))
    cases = [
        ((9, 1, 0.5, 0), [1, 0, 0, 0], "(12 % of the answer, spread thinly), blue has 100 % of what came from"),
        ((6, 3, 1, 0.5), [2 / 3, 1 / 3, 0, 0], "(12 % of the answer, spread thinly), blue has 67 % and cup 33 % of"),
        ((9, 9, 1, 0), [0.5, 0.5, 0, 0], None),
        ((9, 9, 0.3, 0.3), [0.5, 0.5, 0, 0], None),
        ((6, 3, 2, 2), [6 / 13, 3 / 13, 2 / 13, 2 / 13], None),
    ]
    for nats, main, said in cases:
        trace = logit_trace(PROMPT, [" blue"], {(0, HIT[word]): v for word, v in zip(words, nats)}, [2.0])
        done = headwater("cite", "--trace", trace, "--spans", "spans.json", "-o", "c.json")
        assert done.status == 0, done.err
        text = " ".join(done.out.split())
        begin = "Without the 2 passages that have less than a fifth of the highest share "
        assert begin + said in text if said else "fifth" not in text, text
        saved = json.loads((tmp_path / "c.json").read_text(encoding="utf-8"))
        assert [p["main_share"] for p in saved["passages"]] == pytest.approx(main)
    cited = logit_trace(PROMPT, [" blue", " sky"],
                        {(0, HIT[" blue"]): 9, (0, HIT[" cup"]): 1, (1, HIT[" Paula"]): 1}, [2.0, 2.0])
    done = headwater("cite", "--trace", cited, "--spans", "spans.json")
    assert "[2] Paula" in done.out and "fifth" not in done.out


def test_what_cannot_be_followed_is_said(headwater, logit_trace):
    """A token whose parts are all negative; a completion of one token; a method without the completion's columns."""
    explain = ("explain", "--method", "logit", "--through", "--trace")
    lowered = {(0, HIT[" blue"]): 3, (1, HIT[" blue"]): -2, (1, len(PROMPT)): -1}
    trace = logit_trace(PROMPT, [" blue", " sky"], lowered, [1.0, -1.0])
    done = headwater(*explain, trace, "--token", "1")
    assert "! Nothing raised the logit of completion token 1: it counts as the model's own." in done.out
    assert "prompt 0.0 %, the model itself 100.0 %" in done.out
    assert "Nothing raised" not in headwater(*explain, trace, "--token", "0").out
    none = logit_trace(PROMPT, [" blue", " sky"], {(0, HIT[" blue"]): -3, (1, HIT[" blue"]): -2}, [-1.0, -1.0])
    assert "completion token 0 and of others: it counts" in headwater(*explain, none).out
    one = headwater(*explain, logit_trace(PROMPT, [" blue"], {(0, HIT[" blue"]): 3}, [1.0]))
    assert "prompt 75.0 %, the model itself 25.0 %" in one.out and "100.0 % at once" in one.out
    random = headwater("explain", "--method", "random", "--through", "--trace", trace)
    assert random.status == 2 and "--through applies to rollout, contribution, logit, " in random.err


@pytest.mark.model
def test_text_that_is_not_utf8_is_kept_in_the_file(headwater, smollm, tmp_path):
    (tmp_path / "p.txt").write_bytes(b"caf\xe9 is open.\n\nTea is here. \xf0\x9f")
    done = headwater(
        "cite", "-m", smollm, "--threads", "2", "-f", "p.txt", "--by", "paragraph", "-n", "1", "-o", "c.json"
    )
    assert done.status == 0, done
    saved = json.loads((tmp_path / "c.json").read_text(encoding="utf-8"))
    assert saved["prompt"].startswith("caf\ufffd is open.")
    assert bytes.fromhex(saved["prompt_bytes"]) == (tmp_path / "p.txt").read_bytes()
    assert saved["by"] == "paragraph" and saved["passages"][0]["range"] == [0, 15]


# ---------------------------------------------------------------------- passages in a prompt


def test_passages_may_stand_in_any_order_and_twice(headwater, logit_trace, passages_file, tmp_path):
    text = "B says: two.\n\none.\n\nA: one.\n\nQ"
    trace = logit_trace(tokens_of(text), [" x"], {})
    given = [{"name": "A", "text": "one."}, {"text": "one."}, {"name": "C", "text": "two."}]
    done = headwater("cite", "--trace", trace, "--passages", passages_file(given), "-o", "c.json")
    assert done.status == 0, done
    saved = json.loads((tmp_path / "c.json").read_text())
    assert [(p["name"], p["text"]) for p in saved["passages"]] == [("C", "two."), ("", "one."), ("A", "A: one.")]


def test_a_passage_inside_a_longer_one_is_found_in_either_order(headwater, logit_trace, passages_file, tmp_path):
    trace = logit_trace(tokens_of("The key is here. Long ago.\n\nThe key is here.\n\nQ"), [" x"], {})
    given = [{"name": "short", "text": "The key is here."}, {"name": "long", "text": "The key is here. Long ago."}]
    saved = []
    for passages in given, given[::-1]:
        done = headwater("cite", "--trace", trace, "--passages", passages_file(passages), "-o", "c.json")
        assert done.status == 0, done
        saved.append([(p["name"], p["range"]) for p in json.loads((tmp_path / "c.json").read_text())["passages"]])
    assert saved[0] == saved[1] == [("long", [0, 26]), ("short", [28, 44])]


def test_passages_that_overlap_are_refused_in_these_words(headwater, logit_trace, passages_file):
    trace = logit_trace(tokens_of("The key is here."), [" x"], {})
    given = [{"name": "a", "text": "The key is"}, {"name": "b", "text": "key is here."}]
    for passages in given, given[::-1]:
        done = headwater("cite", "--trace", trace, "--passages", passages_file(passages))
        assert done.status == 1 and "passages may not overlap" in done.err


def test_lines_that_end_otherwise_are_named(headwater, logit_trace, passages_file):
    trace = logit_trace(tokens_of("one\r\ntwo"), [" x"], {})
    done = headwater("cite", "--trace", trace, "--passages", passages_file([{"text": "one\ntwo"}]))
    assert done.status == 1 and "lines end in CRLF in one of the two" in done.err


def test_a_byte_order_mark_before_passages_is_passed_over(headwater, made, tmp_path):
    (tmp_path / "p.json").write_bytes(b"\xef\xbb\xbf" + json.dumps(PASSAGES).encode())
    assert headwater("cite", "--trace", made, "--passages", "p.json").status == 0


@pytest.mark.parametrize("passages, part", [
    ([{"name": "Z", "text": "Nobody wrote this."}], 'passage 0 "Z" is not in the prompt'),
    ([PASSAGES[0], PASSAGES[0]], 'passage 1 "Notes" stands in the prompt only where passage 0 "Notes" does'),
    ([], "must be a JSON list with at least one"),
    ({"name": "a"}, "must be a JSON list with at least one"),
    (["text"], '[0] must be an object with "text"'),
    ([PASSAGES[0], {"name": "a"}], '[1]: "text" must be there'),
    ([{"name": "a", "text": ""}], '[0]: "text" must be there and be text that is not empty'),
    ([{"name": 3, "text": "a"}], '[0]: "name" must be text'),
    ([{"name": "a\0b", "text": "a"}], '[0]: "name" must be text without a NUL'),
])
def test_bad_passages_are_named(headwater, made, passages_file, passages, part):
    done = headwater("cite", "--trace", made, "--passages", passages_file(passages))
    assert (done.status, done.out) == (1, "")
    assert part in done.err


def test_passages_that_are_no_json(headwater, made, tmp_path):
    (tmp_path / "p.json").write_text("[{\n")
    done = headwater("cite", "--trace", made, "--passages", "p.json")
    assert (done.status, done.out) == (1, "")
    assert re.match(r"headwater: passages p.json: no valid JSON: line \d: ", done.err)


# ---------------------------------------------------------------------- a real model


@pytest.fixture
def cite(headwater, smollm_f32):
    return lambda *args, **kwargs: headwater("cite", "-m", smollm_f32, "--threads", "2", *args, **kwargs)


@pytest.mark.model
def test_names_the_passage_that_told_it(cite, headwater, passages_file, tmp_path):
    args = ("--passages", passages_file(), "--question", QUESTION, "--completion", " The key is in the blue cup.")
    done = cite(*args, "-o", "c.json", "--trace", "t.st")
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith("Answer\n The key is in the blue cup. [1]\n8 tokens, given, after a prompt of ")
    assert re.search(r"^\[1\] Notes  \d+ % of the answer\n    The key is in the blue cup\.\n", done.out, re.M)
    assert "[2]" not in done.out
    saved = json.loads((tmp_path / "c.json").read_text())
    assert saved["prompt"] == BUILT + "\nAnswer:"
    again = headwater("cite", "--trace", "t.st", "--passages", "passages.json")
    assert again.out == done.out, "the same from the saved run"
    found = cite("-p", saved["prompt"], "--completion", " The key is in the blue cup.", "--passages", "passages.json")
    assert found.out == done.out, "the same where the prompt is given"


def form_of(value):
    """Keys in their order and kinds of values; of a list that of each item, once. The figures are those of a quantised
    model on one processor."""
    if isinstance(value, dict):
        return [(key, form_of(v)) for key, v in value.items()]
    if isinstance(value, list):
        return sorted({repr(form_of(v)) for v in value})
    return "number" if type(value) in (int, float) else type(value).__name__


@pytest.mark.model
def test_the_documented_file_is_what_is_written(cite, passages_file, tmp_path):
    page = (pathlib.Path(__file__).parents[2] / "docs" / "reference" / "formats.md").read_text(encoding="utf-8")
    documented = json.loads(re.search(r"```json citations\n(.*?)```", page, re.S).group(1))
    done = cite("--passages", passages_file(PASSAGES[:2]), "--question", QUESTION, "--chat", "-n", "20", "-o", "c.json")
    assert done.status == 0, done
    saved = json.loads((tmp_path / "c.json").read_text(encoding="utf-8"))
    assert list(saved) == list(documented)
    for key in documented:
        if key != "model":
            assert form_of(saved[key]) == form_of(documented[key]), key


@pytest.mark.model
def test_chat_and_other_methods(cite, passages_file, tmp_path):
    passages_file()
    for method, rule in (("contribution", "ratio"), ("leave-one-out", "fall"), ("ablation", "weight")):
        done = cite("--passages", "passages.json", "--question", QUESTION, "--chat", "--completion",
                    "The key is in the blue cup.", "--method", method, "-o", "c.json")
        assert (done.status, done.err) == (0, "")
        saved = json.loads((tmp_path / "c.json").read_text())
        assert (saved["method"], saved["rule"]["name"]) == (method, rule)
        assert saved["prompt"] == BUILT
        assert saved["passages"][0]["number"] == 1
        assert ("leaving out" in done.out) == (method == "leave-one-out") and ("regression" in done.out) == (
            method == "ablation"
        )


@pytest.mark.model
def test_the_first_passages_are_confirmed(cite, headwater, passages_file, tmp_path):
    args = ("--passages", passages_file(), "--question", QUESTION, "--completion", " The key is in the blue cup.")
    done = cite(*args, "--confirm", "2", "-o", "c.json")
    assert (done.status, done.err) == (0, "")
    assert re.search(r"^\[1\] Notes  \d+ % of the answer, \d+\.\d nats less without it$", done.out, re.M)
    passages = json.loads((tmp_path / "c.json").read_text())["passages"]
    assert sum(p["measured"] for p in passages) == 2 and passages[0]["measured"] and passages[0]["fall"] > 2
    cite(*args, "--method", "leave-one-out", "-o", "loo.json")
    alone = json.loads((tmp_path / "loo.json").read_text())
    n = len(tokens_of(" The key is in the blue cup."))
    for p, one in enumerate(passages):
        if one["measured"]:
            assert one["fall"] == pytest.approx(alone["scores"][0][p] * n, abs=1e-3)
    refused = headwater("cite", "--trace", "t.st", "--confirm", "2")
    assert (refused.status, refused.out) == (2, "") and "--confirm" in refused.err


@pytest.mark.model
def test_common_knowledge_has_no_source(cite, passages_file):
    done = cite("--passages", passages_file(), "--question", "What is the capital of France?", "--completion", " Paris")
    assert done.status == 0
    assert "No passage stands out, so none is cited." in done.out and "[1]" not in done.out


@pytest.mark.model
def test_a_second_family(headwater, gemma, passages_file):
    done = headwater(
        "cite", "-m", gemma, "--threads", "2", "--passages", passages_file(), "--question", QUESTION,
        "--completion", " The key is in the blue cup."
    )
    assert (done.status, done.err) == (0, "")
    assert re.search(r"^\[1\] Notes  ", done.out, re.M)


def processor_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.model
def test_ctrl_c_keeps_and_cites_what_is_there(program, smollm, tmp_path):
    """Counting goes on whatever the kernels."""
    command = [program, "cite", "-m", smollm, "-p", "Anna counts. 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,", "-n", "3000",
               "-o", "c.json", "--trace", "t.st"]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path, env=environment())
    until_caught(child, signal.SIGINT)
    until(
        lambda: processor_seconds(child.pid) > 4, "it does not work"
    )  # as a rule it generates by then; what it writes comes at the end
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=HANG_S)
    assert child.returncode == 130
    if out:  # it had begun to generate
        assert err == b"headwater: interrupted: citing for the tokens so far; Ctrl-C again ends at once\n"
        assert b"tokens, interrupted, " in out and (tmp_path / "c.json").exists() and (tmp_path / "t.st").exists()


@pytest.mark.model
def test_what_only_the_run_shows_is_refused(cite, headwater, made):
    done = cite("-p", "One sentence", "--completion", " here", "--answer-by", "/[/")
    assert done.status == 1 and "expression" in done.err
    done = headwater("cite", "--trace", made, "--method", "leave-one-out")
    assert done.status == 1 and "leave-one-out" in done.err
    done = headwater("cite", "--trace", made, "--method", "contribution")
    assert done.status == 1 and "contribution" in done.err


@pytest.mark.model
def test_contribution_stands_in_for_logit(headwater, smollm_f32, passages_file, tmp_path):
    done = headwater(
        "explain",
        "-m",
        smollm_f32,
        "--threads",
        "2",
        "-p",
        BUILT + "\nAnswer:",
        "--completion",
        " The key is in the blue cup.",
        "--method",
        "contribution",
        "--trace",
        "t.st",
    )
    assert done.status == 0
    done = headwater("cite", "--trace", "t.st", "--passages", passages_file(), "-o", "c.json")
    assert (done.status, done.err) == (0, "")
    saved = json.loads((tmp_path / "c.json").read_text())
    assert saved["method"] == "contribution"
    assert max(saved["passages"], key=lambda passage: passage["share"])["name"] == "Notes"


# ---------------------------------------------------------------------- wrong lines


@pytest.mark.parametrize(
    "args, part",
    [
        ([], "nothing to cite for: give -m MODEL with --passages FILE and --question TEXT"),
        (["-m", "none.gguf"], "no prompt: give --passages FILE and --question TEXT"),
        (["-m", "none.gguf", "--passages", "p.json"], "no prompt: give --passages FILE and --question TEXT"),
        (["-m", "none.gguf", "--question", "Q"], "--question needs --passages FILE"),
        (["-m", "none.gguf", "--passages", "p.json", "--question", ""], '--question "": the question is empty'),
        (
            ["-m", "none.gguf", "--passages", "p.json", "--question", "Q", "-p", "a"],
            "--question and a prompt: give one of them",
        ),
        (["-m", "none.gguf", "-p", "a", "--passages", "p.json", "--by", "word"], "all say what a passage is"),
        (["-m", "none.gguf", "-p", "a", "--passages", "p.json", "--spans", "s.json"], "all say what a passage is"),
        (["-m", "none.gguf", "-p", "a", "--by", "word", "--spans", "s.json"], "--by and --spans both cut the prompt"),
        (["-m", "none.gguf", "-p", "a", "--by", "wrd"], "did you mean word?"),
        (
            ["-m", "none.gguf", "-p", "a", "--answer-by", "sentense"],
            '--answer-by "sentense": unknown name, did you mean sentence?',
        ),
        (["-m", "none.gguf", "-p", "a", "--method", "logit,rollout"], "citations are made by one method"),
        (["-m", "none.gguf", "-p", "a", "--method", "logits"], "did you mean logit?"),
        (["-m", "none.gguf", "-p", "a", "--min-peak", "-1"], "must be a number from 0 to"),
        (["-m", "none.gguf", "-p", "a", "--min-peak", "2"], "--min-peak 2: a peak of logit is a share, at most 1"),
        (
            ["-m", "none.gguf", "-p", "a", "--method", "logit", "--min-peak", "1.01"],
            "--min-peak 1.01: a peak of logit is a share, at most 1",
        ),
        (["-m", "none.gguf", "-p", "a", "-o", "c.csv"], "citations are saved as .json"),
        (
            ["-m", "none.gguf", "-p", "a", "-o", "c.json", "-o", "c.json"],
            "c.json would be written and is also named for something else",
        ),
        (["--trace", "t.st", "--question", "Q", "--passages", "p.json"], "no model: give -m MODEL"),
        (["--trace", "t.st", "--temp", "1"], "--temp cannot be combined with a saved trace"),
        (["--trace", "t.st", "--chat"], "--chat cannot be combined with a saved trace"),
        (["--trace", "t.st", "--token", "1"], "cite has no option --token"),
    ],
)
def test_a_wrong_line_is_refused_before_any_work(headwater, args, part):
    done = headwater("cite", *args)
    assert (done.status, done.out) == (2, "")
    assert part in done.err, done


# ---------------------------------------------------------------------- explain and view --answer-by


def test_explain_by_parts_of_the_completion(headwater, made, expected):
    done = headwater(
        "explain", "--trace", made, "--method", "logit", "--by", "sentence", "--answer-by", "sentence", "--top",
        "2", "-o", "r.json"
    )
    assert (done.status, done.err) == (0, "")
    expected("explain_answer_by", done.out)
    again = headwater("view", "r.json", "--answer-by", "sentence", "--top", "2")
    assert again.status == 0
    assert re.findall(r"completion tokens .*", again.out) == re.findall(r"completion tokens .*", done.out)


@pytest.mark.parametrize("args, status, part", [
    (["--answer-by", "word", "--token", "1"], 2, "--token and --answer-by both say which tokens to show"),
    (["--answer-by", "words"], 2, '--answer-by "words": unknown name, did you mean word?'),
    (["--answer-by", "/[/"], 1, "expression"),
])
def test_answer_by_that_cannot_be(headwater, made, args, status, part):
    done = headwater("explain", "--trace", made, *args)
    assert done.status == status and part in done.err


def test_answer_by_needs_a_completion(headwater, attention_file):
    rows = np.full((1, 3, 3), 1 / 3)
    done = headwater("explain", "--attention", attention_file(rows, tokens=["a", "b", "c"]), "--answer-by", "word")
    assert done.status == 1 and "no completion" in done.err


def test_the_first_line_names_a_span_and_what_is_not_known(headwater, logit_trace, tmp_path):
    """The text between spans is stronger here, but says nothing; without contributions the model's part of a token on
    the way is a guess, which is said."""
    trace = logit_trace(PROMPT, [" blue", " sky"], {(0, HIT[" blue"]): 3, (0, HIT[" key"]): 6, (1, len(PROMPT)): 3},
                        [1.0, 1.0])
    begin = "".join(PROMPT).index(" blue")
    (tmp_path / "spans.json").write_text(json.dumps([{"name": "Notes", "begin": begin, "end": begin + 5}]))
    shown = headwater("explain", "--trace", trace, "--spans", "spans.json", "--method", "logit", "--token", "0")
    assert "blue: 30 % from Notes, 60 % from the rest of the prompt, 10 % the model itself." in " ".join(
        shown.out.split())
    followed = headwater("explain", "--trace", trace, "--method", "logit", "--through", "--token", "1")
    assert "What the MLPs of earlier tokens had read is not kept here" in followed.out
    assert "not kept here" not in shown.out
