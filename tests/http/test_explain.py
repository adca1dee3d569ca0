"""Explaining over HTTP: one answer, events, stopping, the queue, checks, other methods, exports."""

import io
import json
import threading

import numpy as np
import pytest
from safetensors.numpy import load as load_safetensors

from conftest import ENDLESS, PROMPT, text_of, unpack
from patience import HANG_S, until


@pytest.fixture(scope="module")
def run(server):
    return server.explain(n=4, methods=["rollout", "contribution"], name="a name")


# ---------------------------------------------------------------- one answer

def test_a_run_is_a_document(run):
    assert run["name"] == "a name" and run["id"] >= 1 and run["created"].endswith("Z")
    assert run["run"]["prompt"] == PROMPT and run["run"]["options"]["n_generate"] == 4
    assert [a["method"] for a in run["attributions"]] == ["rollout", "contribution"]
    m = len([t for t in run["run"]["tokens"] if t["role"] != "completion"])
    for a in run["attributions"]:
        assert a["shape"] == [4, m, len(run["run"]["model"]["layers"])] and a["first_token"] == m
        values, mean = unpack(a)
        assert np.abs(values.mean(1) - mean).max() < np.abs(values).max() / 127
    assert set(run["segments"]["prompt"]) == {"word", "line", "sentence", "paragraph"}
    assert len(run["segments"]["completion"]["word"]["groups"]) == 4
    assert run["filters"]["first"] == [0] and "check" not in run


def test_it_is_what_the_program_gives(server, program, smollm, tmp_path):
    """The same numbers as `headwater explain -o x.json` on the same prompt."""
    import subprocess

    run = server.explain(n=3, methods=["rollout"])
    path = tmp_path / "x.json"
    subprocess.run([program, "explain", "-m", smollm, "-p", PROMPT, "-n", "3", "--method", "rollout", "-q", "-o", path],
                   check=True, capture_output=True, timeout=HANG_S)
    wanted = json.loads(path.read_text())
    assert run["run"]["tokens"] == wanted["run"]["tokens"]
    _, mean = unpack(run["attributions"][0])
    assert np.allclose(mean, wanted["attributions"][0]["mean"], rtol=1e-6, atol=0)


def test_options_reach_the_model(server):
    run = server.explain(
        options={"n_generate": 2, "temperature": 1.5, "top_k": 40, "top_p": 0.9, "seed": 7, "chat": True},
        settings={"row": "own", "residual": 0.25, "direction": "output", "fuse": "max"},
        methods=["rollout"],
    )
    options, settings = run["run"]["options"], run["attributions"][0]["settings"]
    assert (options["temperature"], options["top_k"], options["seed"], options["chat"]) == (1.5, 40, 7, True)
    assert abs(options["top_p"] - 0.9) < 1e-6 and options["fuse"] == "max"
    assert (settings["row"], settings["residual"], settings["direction"]) == ("own", 0.25, "output")
    assert {t["role"] for t in run["run"]["tokens"]} >= {"template", "prompt", "completion"}


def test_a_given_completion_is_explained(server):
    run = server.explain(completion=" Dubai, in the Emirates.")
    assert text_of(run) == " Dubai, in the Emirates." and run["run"]["stop"] == "given"


def test_segments_become_columns(server):
    run = server.explain("One is first. Two is second.", n=2, methods=["rollout"], settings={"by": "sentence"})
    (a,) = run["attributions"]
    assert a["shape"][1] == 2 and a["settings"]["n_groups"] == 2 and set(a["settings"]["groups"]) == {0, 1}


def test_passages_are_named_in_characters(server):
    prompt = "Ünïcödé fox. Second part."
    spans = [{"name": "a </script>", "begin": 0, "end": 12}, {"name": "", "begin": 13, "end": 25}]
    run = server.explain(prompt, n=2, spans=spans, methods=["rollout"], settings={"by": "passage"})
    passage = run["segments"]["prompt"]["passage"]
    assert passage["names"] == ["a </script>", "Second part."] and set(passage["groups"]) == {0, 1}
    assert run["attributions"][0]["shape"][1] == 2


COLUMNS = {
    "sentence": ("One is first. Two is second.", None),
    "passage": (
        "Anna has it. Not this. Tom is near.",
        [{"name": "Anna", "begin": 0, "end": 12}, {"name": "Tom", "begin": 23, "end": 35}],
    ),
}


@pytest.mark.parametrize("model", ["SmolLM2-135M-Instruct.Q4_1.gguf", "gemma-3-270m-q4_k_m.gguf"])
def test_columns_are_those_of_the_program(serve, program, smollm, tmp_path, model):
    """One request, one tensor: columns, names and numbers; asked with the run, of the stored run, and exported."""
    import subprocess

    server = serve("--no-store", model=smollm.parent / model)
    for by, (prompt, spans) in COLUMNS.items():
        (tmp_path / "spans.json").write_text(json.dumps(spans))
        cut = ["--spans", tmp_path / "spans.json"] if spans else ["--by", by]
        path = tmp_path / "x.json"
        subprocess.run(
            [
                program,
                "explain",
                "-m",
                smollm.parent / model,
                "-p",
                prompt,
                "-n",
                "2",
                "--method",
                "rollout",
                "-q",
                *cut,
                "-o",
                path,
            ],
            check=True,
            capture_output=True,
            timeout=HANG_S,
        )
        wanted = json.loads(path.read_text())["attributions"][0]
        run = server.explain(
            prompt, n=2, methods=["rollout"], settings={"by": by}, **({"spans": spans} if spans else {})
        )
        again = server.ok("POST", f"/api/runs/{run['id']}/explain", {"methods": ["rollout"], "settings": {"by": by}})[
            "attributions"
        ]
        exported = export(server, run, "format=json").json["attributions"]
        for a in (run["attributions"][0], *again, *exported):
            assert a["settings"] == wanted["settings"] and a["shape"] == wanted["shape"]
            mean = a["mean"] if "mean" in a else unpack(a)[1]
            np.testing.assert_allclose(mean, wanted["mean"], rtol=1e-4, atol=1e-6)  # rows come in other batches
    assert wanted["settings"]["group_names"] == ["Anna", "Tom", "(outside the spans)"]
    server.kill()


def test_the_answers_own_words_are_followed(server):
    """Shares that sum to 1 with the model's, as rows come, when the run is whole and explained again; of a method
    without, as ever."""
    settings = {"settings": {"through": True}}
    run = server.explain(n=4, methods=["logit", "leave-one-out"], **settings)
    again = server.ok("POST", f"/api/runs/{run['id']}/explain", {"methods": ["logit"], **settings})["attributions"]
    for a in (run["attributions"][0], *again):
        assert a["settings"]["through"] is True
        for i, row in enumerate(a["through"]):
            assert row["prompt"] + row["model"] == pytest.approx(1) and len(row["hops"]) == i
            assert unpack(a)[1][i].sum() + np.mean(a["outside"][i]) + row["model"] == pytest.approx(1, abs=1e-3)
    assert "through" not in run["attributions"][1] and "through" not in run["attributions"][1]["settings"]
    refused = server.post(
        f"/api/runs/{run['id']}/explain", {"methods": ["logit"], "settings": {"through": True, "columns": "all"}}
    )
    assert refused.status == 400 and "ends in columns of the prompt" in refused.error["message"]


def test_any_text_comes_through(server):
    prompt = "a\0b \u202e</script><!-- \U0001f600 \u2028\r\n"
    run = server.explain(prompt, n=2, name="<b>\u2028")
    assert run["run"]["prompt"] == prompt and run["name"] == "<b>\u2028"
    assert server.ok("GET", f"/api/runs/{run['id']}") == run


# ---------------------------------------------------------------- events

def test_events_come_in_order_and_say_what_the_end_says(server):
    methods = ["rollout", "logit"]
    events = server.stream("/api/explain", {"prompt": PROMPT, "options": {"n_generate": 5}, "methods": methods}).until(
        "done", "error"
    )
    names = [name for name, _ in events]
    run = events[-1][1]["run"]
    m = len(events[names.index("prompt")][1]["tokens"])
    assert names[0] == "queued" and names[-1] == "done"
    assert names.index("queued") < names.index("prompt") < names.index("prefill") < names.index("token")
    assert names.count("prompt") == 1 and names.count("done") == 1
    assert events[0][1]["job"] >= 1
    prefill = [data for name, data in events if name == "prefill"]
    assert prefill[-1]["done"] == prefill[-1]["total"]
    tokens = [data for name, data in events if name == "token"]
    assert [t["index"] for t in tokens] == list(range(5))
    assert events[names.index("prompt")][1]["tokens"] + [t["token"] for t in tokens] == run["run"]["tokens"]
    assert [a["method"] for a in run["attributions"]] == methods
    for whole in run["attributions"]:
        parts = [data["attribution"] for name, data in events
                 if name == "explained" and data["attribution"]["method"] == whole["method"]]
        assert [p["first_token"] for p in parts] == sorted(p["first_token"] for p in parts)
        assert parts[0]["first_token"] == m and sum(p["shape"][0] for p in parts) == 5
        mean = np.concatenate([unpack(p)[1] for p in parts])
        assert np.allclose(mean, unpack(whole)[1], rtol=1e-5, atol=1e-8)
        assert np.allclose(np.concatenate([p["outside"] for p in parts]), whole["outside"], rtol=1e-5, atol=1e-8)
        assert whole["settings"] == parts[0]["settings"]


def test_the_first_token_is_explained_at_once_and_then_four_at_a_time(server):
    events = server.stream(
        "/api/explain", {"prompt": PROMPT, "options": {"n_generate": 9}, "methods": ["rollout"]}
    ).until("done")
    order = [name for name, _ in events if name in ("token", "explained")]
    assert order == [
        "token",
        "explained",
        *["token"] * 3,
        "explained",
        *["token"] * 4,
        "explained",
        "token",
        "explained",
    ]


def test_a_second_question_over_the_same_text_reads_only_the_question(server):
    text = "Anna keeps her key in the red box. Ben lives in Paris. " * 4

    def ask(question):
        body = {"prompt": text + question, "options": {"n_generate": 2}, "methods": ["rollout", "logit"]}
        events = server.stream("/api/explain", body).until("done", "error")
        assert events[-1][0] == "done", events[-1]
        return dict(events)["prompt"], events[-1][1]["run"]

    server.explain(n=1)  # of another text, which leaves nothing to go on from
    fresh, wanted = ask("\nBen lives in")
    ask("\nAnna keeps her key in the")
    again, run = ask("\nBen lives in")
    assert fresh["reused"] < 4 and len(again["tokens"]) - 12 < again["reused"] < len(again["tokens"])
    assert [t["id"] for t in run["run"]["tokens"]] == [t["id"] for t in wanted["run"]["tokens"]]
    for a, b in zip(run["attributions"], wanted["attributions"]):
        assert np.abs(unpack(a)[1] - unpack(b)[1]).max() < 1e-5 * max(1, np.abs(unpack(b)[1]).max())


def test_a_run_is_saved_before_its_client_hears_so(server):
    stream = server.stream("/api/explain", {"prompt": PROMPT, "options": {"n_generate": 2}})
    run = stream.until("done")[-1][1]["run"]
    assert server.ok("GET", f"/api/runs/{run['id']}") == run


def test_errors_come_as_events_too(server):
    stream = server.stream("/api/explain", {"prompt": "word " * 9000, "options": {"n_generate": 1}})
    name, data = stream.until("done", "error")[-1]
    assert name == "error" and data["code"] == "bad_request" and "8192" in data["message"]
    assert not [r for r in server.ok("GET", "/api/runs")["runs"] if r["prompt"].startswith("word word")]


# ---------------------------------------------------------------- stopping, leaving, waiting

def endless(server, tokens=3):
    """A run that would go on for minutes, after some tokens; its stream and job."""
    stream = server.stream("/api/explain", {"prompt": ENDLESS, "options": {"n_generate": 3000}, "methods": ["rollout"]})
    seen = []
    while sum(name == "token" for name, _ in seen) < tokens:
        seen += stream.until("token")
    return stream, seen[0][1]["job"], "".join(data["token"]["text"] for name, data in seen if name == "token")


def test_stop_keeps_the_tokens_so_far(server):
    stream, job, text = endless(server)
    assert server.ok("POST", f"/api/jobs/{job}/stop") == {"job": job}
    name, data = stream.until("done", "error")[-1]
    run = data["run"]
    assert name == "done" and run["run"]["stop"] == "cancelled" and text_of(run).startswith(text)
    assert 3 <= run["attributions"][0]["shape"][0] < 3000
    assert server.ok("GET", f"/api/runs/{run['id']}") == run
    assert server.ask("POST", f"/api/jobs/{job}/stop", b"").error["code"] == "not_found"


def test_a_client_that_leaves_ends_its_job(server):
    stream, _, text = endless(server)
    stream.close()
    server.idle()
    newest = server.ok("GET", "/api/runs")["runs"][0]
    assert newest["completion"].startswith(text[:100]) and newest["finished"] and newest["n_completion"] < 3000


def test_a_client_that_waits_for_one_answer_and_leaves_ends_its_job_too(server):
    body = json.dumps({"prompt": ENDLESS, "options": {"n_generate": 3000}}).encode()
    connection = server.connect()
    connection.request("POST", "/api/explain", body, {"Content-Type": "application/json"})
    until(lambda: server.ok("GET", "/api/status")["queue"] == 1, "the job never begins")
    connection.close()
    server.idle()


def test_jobs_wait_in_line_and_know_their_place(server):
    first, job, _ = endless(server)
    others = [server.stream("/api/explain", {"prompt": PROMPT, "options": {"n_generate": 1}}) for _ in range(2)]
    places = [next(stream) for stream in others]
    assert [(name, data["position"]) for name, data in places] == [("queued", 1), ("queued", 2)]
    assert server.ok("GET", "/api/status")["queue"] == 3
    waiting = places[0][1]["job"]
    server.ok("POST", f"/api/jobs/{waiting}/stop", {})
    assert others[0].until("error")[-1][1]["code"] == "stopped"
    assert next(others[1]) == ("queued", {"job": places[1][1]["job"], "position": 1})
    server.ok("POST", f"/api/jobs/{job}/stop")
    assert first.until("done")[-1][0] == "done"
    events = others[1].until("done")
    assert ("queued", {"job": places[1][1]["job"], "position": 0}) in events


def test_the_queue_is_bounded(server):
    first, job, _ = endless(server)
    waiting = [server.stream("/api/explain", {"prompt": "a b", "options": {"n_generate": 1}}) for _ in range(16)]
    reply = server.post("/api/explain", {"prompt": "a b"})
    assert reply.status == 503 and reply.error["code"] == "busy" and reply.headers["Retry-After"]
    for stream in waiting:
        stream.close()
    until(lambda: server.ok("GET", "/api/status")["queue"] == 1, "the others stay")
    server.ok("POST", f"/api/jobs/{job}/stop")
    first.until("done")


def test_many_clients_at_once(server):
    failures = []

    def client(i):
        try:
            run = server.explain(f"Number {i} is", n=2, methods=["rollout"])
            assert run["run"]["prompt"] == f"Number {i} is"
            assert server.ok("GET", f"/api/runs/{run['id']}") == run
            assert len(server.ok("GET", "/api/methods")["methods"]) > 3
        except Exception as failure:  # a thread's failure must reach the test
            failures.append(failure)

    threads = [threading.Thread(target=client, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


# ---------------------------------------------------------------- saved runs again

def test_other_methods_from_the_trace(server, run):
    reply = server.ok("POST", f"/api/runs/{run['id']}/explain",
                      {"methods": ["attention", "rollout"], "settings": {"residual": 0.25}})
    assert [a["method"] for a in reply["attributions"]] == ["attention", "rollout"]
    saved = server.ok("GET", f"/api/runs/{run['id']}")["attributions"]
    assert [a["method"] for a in saved] == ["rollout", "contribution", "attention", "rollout"]
    assert saved[2:] == reply["attributions"]
    again = server.ok(
        "POST", f"/api/runs/{run['id']}/explain", {"methods": ["attention"], "settings": {"residual": 0.25}}
    )
    assert server.ok("GET", f"/api/runs/{run['id']}")["attributions"] == saved and again["attributions"] == saved[2:3]


def test_methods_that_run_the_model_again(server):
    run = server.explain("Paris is in", n=1, methods=["rollout"])
    reply = server.ok("POST", f"/api/runs/{run['id']}/explain", {"methods": ["leave-one-out"]})
    (a,) = reply["attributions"]
    assert a["shape"][0] == 1 and a["shape"][2] == 1 and a["layers"] == [-1]


def test_check(server):
    run = server.explain("Abdul is from Dubai. Anna is from Oslo. Abdul is from", n=2)
    body = {"by": "sentence", "methods": ["rollout"], "ablations": 8, "tokens": [0, 1], "seed": 3}
    events = server.stream(f"/api/runs/{run['id']}/check", body).until("done", "error")
    assert events[-1][0] == "done", events[-1]
    check = events[-1][1]["check"]
    progress = [data for name, data in events if name == "progress"]
    assert progress and progress[-1]["done"] == progress[-1]["total"]
    assert check["format"] == "headwater-check" and check["by"] == "sentence" and check["tokens"] == [0, 1]
    assert check["methods"][0]["method"] == "rollout" and len(check["segments"]) == 3 and check["verdict"]
    assert server.ok("GET", f"/api/runs/{run['id']}")["check"] == check
    assert server.ok("POST", f"/api/runs/{run['id']}/check", body)["check"] == check


def test_check_by_passages_where_the_run_has_some(server):
    prompt = "Abdul is from Dubai. Anna is from Oslo. Abdul is from"
    spans = [{"name": "A", "begin": 0, "end": 20}, {"name": "B", "begin": 21, "end": 39}]
    run = server.explain(prompt, n=1, spans=spans)
    check = server.ok("POST", f"/api/runs/{run['id']}/check", {"ablations": 4})["check"]
    assert check["by"] == "passage" and [s["name"] for s in check["segments"]] == ["A", "B"]
    plain = server.explain(prompt, n=1)
    reply = server.post(f"/api/runs/{plain['id']}/check", {"by": "passage"})
    assert reply.status == 400 and "no passages" in reply.error["message"]


def test_a_check_can_write_again(server):
    """Whether the answer stands is read off the text that is written without a method's first sentence."""
    run = server.explain("Abdul is from Dubai. Anna is from Oslo. Abdul is from", n=1)
    path, body = f"/api/runs/{run['id']}/check", {"by": "sentence", "methods": ["leave-one-out"], "ablations": 4}
    assert "rewritten" not in server.ok("POST", path, body)["check"]
    first, *more = server.ok("POST", path, body | {"rewrite": True})["check"]["rewritten"]
    assert (first["method"], first["without"], more) == ("leave-one-out", 1, [])  # three segments: one can be left out
    completion = "".join(t["text"] for t in run["run"]["tokens"] if t["role"] == "completion")
    assert first["stands"] == (completion.strip() in first["completion"]) and first["completion"]


def test_cite(server):
    """As `headwater cite`: followed through the answer, by the run's passages, kept with the run."""
    prompt = "Abdul is from Dubai. Anna is from Oslo. Abdul is from"
    spans = [{"name": "A", "begin": 0, "end": 20}, {"name": "B", "begin": 21, "end": 39}]
    run = server.explain(prompt, n=2, spans=spans)
    path = f"/api/runs/{run['id']}/cite"
    cited = server.ok("POST", path, {})["citation"]
    assert (cited["format"], cited["method"], cited["by"]) == ("headwater-citation", "logit", "passage")
    assert [p["name"] for p in cited["passages"]] == ["A", "B"] and cited["answer_by"] == "sentence"
    assert "fall" not in cited["passages"][0] and "hops" in cited["answer"][0]
    assert server.ok("GET", f"/api/runs/{run['id']}")["citation"] == cited
    direct = server.ok("POST", path, {"settings": {"through": False}})["citation"]
    assert "hops" not in direct["answer"][0] and direct["elsewhere"]["answer"] > 0 == cited["elsewhere"]["answer"]
    parts = server.ok("POST", path, {"answer_by": "token", "by": "word", "method": "contribution"})["citation"]
    assert len(parts["answer"]) == 2 and parts["by"] == "word" and parts["method"] == "contribution"


def test_citations_can_be_confirmed(server):
    run = server.explain("Abdul is from Dubai. Anna is from Oslo. Abdul is from", n=1)
    path = f"/api/runs/{run['id']}/cite"
    events = server.stream(path, {"by": "sentence", "confirm": 1}).until("done", "error")
    assert events[-1][0] == "done", events[-1]
    assert [data["done"] for name, data in events if name == "progress"][-1:]
    passages = events[-1][1]["citation"]["passages"]
    assert [p["measured"] for p in passages].count(True) == 1
    body = {"methods": ["leave-one-out"], "settings": {"by": "sentence"}}
    (loo,) = server.ok("POST", f"/api/runs/{run['id']}/explain", body)["attributions"]
    falls = unpack(loo)[1][0]
    assert all(abs(p["fall"] - fall) < 1e-4 for p, fall in zip(passages, falls) if p["measured"])


def test_each_run_is_cited_as_cite_does(server):
    """Member `citations` of a run and the last event `cited`: what /cite gives, by passage and by sentence."""
    facts = ("The blue cup holds the key.", "Mr. Vertigo repaired seventeen violins.")
    prompt = " ".join(facts) + " The key is in"
    spans = [{"name": name, "begin": prompt.index(fact), "end": prompt.index(fact) + len(fact)}
             for name, fact in zip("AB", facts)]
    completion = " the blue cup. Vertigo repaired seventeen violins. Both"
    body = {"prompt": prompt, "spans": spans, "completion": completion, "methods": ["rollout"]}
    events = server.stream("/api/explain", body).until("done", "error")
    run = events[-1][1]["run"]
    assert [a["method"] for a in run["attributions"]] == ["rollout"]
    by_passage, by_sentence = run["citations"]
    for cited in (by_passage, by_sentence):
        wanted = server.ok("POST", f"/api/runs/{run['id']}/cite", {"by": cited["by"]})["citation"]
        close(cited, {key: value for key, value in wanted.items() if key in cited} |
              {key: cited[key] for key in ("prompt_groups", "answer_groups")})
        assert cited["prompt_groups"] == run["segments"]["prompt"][cited["by"]]["groups"]
        assert cited["answer_groups"] == run["segments"]["completion"]["sentence"]["groups"]
        assert {c["number"] for part in cited["answer"] for c in part["citations"]} >= {1, 2}
    sent = [data for name, data in events if name == "cited"]
    assert [data["finished"] for data in sent] == sorted({data["finished"] for data in sent}) and len(sent) >= 1
    finished = sent[-1]["finished"]
    assert finished == 2
    (early,) = sent[-1]["citations"]
    assert early["by"] == "sentence" and early["prompt_groups"] == by_sentence["prompt_groups"]
    for part in range(finished):
        close(early["answer"][part], by_sentence["answer"][part], 1e-4)  # rows come in other batches
    (by_word,) = server.explain(n=1)["citations"]  # one sentence
    assert (by_word["by"], by_word["passages"][0]["text"]) == ("word", "My")


def close(a, b, bound=1e-6, where=""):
    """Equal but for the last digits of numbers."""
    if isinstance(a, dict):
        assert a.keys() == b.keys(), where
        for key in a:
            close(a[key], b[key], bound, f"{where}.{key}")
    elif isinstance(a, list):
        assert len(a) == len(b), where
        for i, (x, y) in enumerate(zip(a, b)):
            close(x, y, bound, f"{where}[{i}]")
    elif isinstance(a, float):
        assert abs(a - b) <= bound * max(1, abs(a)), (where, a, b)
    else:
        assert a == b, where


def test_runs_are_listed_named_and_deleted(server):
    run = server.explain(n=1)
    path = f"/api/runs/{run['id']}"
    assert server.ok("PATCH", path, {"name": "Zoë"}) == {"id": run["id"], "name": "Zoë"}
    assert server.ok("GET", path) == run | {"name": "Zoë"}
    entry = server.ok("GET", "/api/runs")["runs"][0]
    assert (entry["id"], entry["name"], entry["n_prompt"], entry["n_completion"]) == (run["id"], "Zoë", 8, 1)
    assert (
        entry["prompt"] == PROMPT and entry["completion"] == text_of(run) and entry["finished"] and entry["has_trace"]
    )
    assert server.ok("DELETE", path) == {"id": run["id"]}
    for method, body in (("GET", None), ("DELETE", None), ("PATCH", {"name": "x"})):
        assert server.ask(method, path, body).error["code"] == "not_found"
    for last, body in (("explain", {"methods": ["rollout"]}), ("check", {})):
        assert server.post(f"{path}/{last}", body).error["code"] == "not_found"
    assert server.get(f"{path}/export?format=trace").error["code"] == "not_found"


# ---------------------------------------------------------------- settings that the run is made with

def test_against_contrasts_the_logit(server):
    plain, other = (server.explain("The capital of France is", completion=" Paris", methods=["logit"], options=options)
                    for options in ({}, {"against": " Berlin"}))
    assert "against" not in plain["run"]["options"] and other["run"]["options"]["against"] == " Berlin"
    logits = [r["attributions"][0]["balance"][0]["logit"] for r in (plain, other)]
    assert logits[0] > logits[1] > 0
    again = server.ok("POST", f"/api/runs/{other['id']}/explain", {"methods": ["logit"]})
    assert again["attributions"][0]["balance"][0]["logit"] == logits[1]


def test_against_that_is_none(server):
    for value, part in (
        ("", "1 to 200 bytes"),
        (7, "must be text"),
        (" two words", "as one token"),
        ("a\0b", "without NUL"),
    ):
        reply = server.ask("POST", "/api/explain", {"prompt": "a", "options": {"against": value}})
        assert (reply.status, reply.error["code"]) == (400, "bad_request") and part in reply.error[
            "message"
        ], reply.body


def test_the_residual_can_be_measured_afterwards(server, run):
    made = server.ok(
        "POST", f"/api/runs/{run['id']}/explain", {"methods": ["rollout"], "settings": {"residual_measured": True}}
    )
    assert made["attributions"][0]["settings"]["residual_measured"] is True
    assert not np.allclose(unpack(made["attributions"][0])[1], unpack(run["attributions"][0])[1], rtol=0.01)


def test_composed_contributions_are_asked_for_when_the_run_is_made(server, run):
    composed = {"methods": ["contribution"], "settings": {"aggregate": "rollout"}}
    reply = server.ask("POST", f"/api/runs/{run['id']}/explain", composed)
    assert (reply.status, reply.error["code"]) == (422, "unsupported") and "run the model" in reply.error["message"]
    made = server.explain(n=2, **composed)
    assert made["attributions"][0]["settings"]["aggregate"] == "rollout"
    by_layer = server.ok("POST", f"/api/runs/{made['id']}/explain", {"methods": ["contribution"]})
    assert by_layer["attributions"][0]["settings"]["aggregate"] == "mean"


def test_a_method_that_gives_nothing_loses_no_other(serve, server, run, tiny):
    composed = {"methods": ["contribution", "rollout"], "settings": {"aggregate": "rollout"}}
    made = server.ok("POST", f"/api/runs/{run['id']}/explain", composed)
    assert [a["method"] for a in made["attributions"]] == ["rollout"]
    (lost,) = made["left_out"]
    assert lost["method"] == "contribution" and "run the model" in lost["reason"]
    recurrent = serve("--no-store", model=tiny / "mamba.gguf")
    of_recurrent = recurrent.explain("hello world. a b", n=2, methods=["rollout", "logit", "attention"])
    assert [a["method"] for a in of_recurrent["attributions"]] == ["logit"]
    assert [one["method"] for one in of_recurrent["left_out"]] == ["rollout", "attention"]
    assert all("no attention layers" in one["reason"] for one in of_recurrent["left_out"])
    assert recurrent.ok("GET", f"/api/runs/{of_recurrent['id']}") == of_recurrent
    body = {"methods": ["rollout", "logit"], "ablations": 4, "by": "word"}
    checked = recurrent.ok("POST", f"/api/runs/{of_recurrent['id']}/check", body)
    assert checked["left_out"] == of_recurrent["left_out"][:1]
    assert "rollout" not in [m["method"] for m in checked["check"]["methods"]]
    reply = recurrent.post("/api/explain", {"prompt": "a b", "options": {"n_generate": 1}, "methods": ["rollout"]})
    assert (reply.status, reply.error["code"]) == (422, "unsupported")
    assert recurrent.stop() == 0


# ---------------------------------------------------------------- exports

def export(server, run, query):
    reply = server.get(f"/api/runs/{run['id']}/export?{query}")
    assert reply.status == 200, reply.body[:300]
    return reply


def test_every_format_is_exported(server, run, program, tmp_path):
    import subprocess

    formats = server.ok("GET", "/api/methods")["formats"]
    assert {f["name"] for f in formats} == {"html", "json", "csv", "npy", "safetensors", "trace"}
    for f in formats:
        reply = export(server, run, f"format={f['name']}")
        assert reply.headers["Content-Disposition"] == f'attachment; filename="headwater-{run["id"]}{f["extension"]}"'
        assert len(reply.body) > 100
        if f["name"] in ("json", "safetensors", "trace"):  # what the program opens
            path = tmp_path / f"x{f['extension']}"
            path.write_bytes(reply.body)
            done = subprocess.run([program, "view", path, "-q"], capture_output=True, timeout=HANG_S)
            assert done.returncode == 0, done.stderr


def test_exports_hold_the_same_numbers(server, run):
    a = run["attributions"][0]
    values, mean = unpack(a)
    m = np.load(io.BytesIO(export(server, run, "format=npy&method=rollout").body))
    assert list(m.shape) == a["shape"]
    assert np.allclose(m.mean(-1), mean, rtol=1e-5)
    assert np.abs(m.transpose(0, 2, 1) - values).max() <= m.max() / 255
    result = export(server, run, "format=json&method=rollout").json
    assert [x["method"] for x in result["attributions"]] == ["rollout"] * len(result["attributions"])
    assert np.allclose(result["attributions"][0]["mean"], mean, rtol=1e-6) and result["run"] == run["run"]
    tensor = load_safetensors(export(server, run, "format=safetensors&method=contribution").body)["attribution"]
    assert np.allclose(tensor.mean(-1), unpack(run["attributions"][1])[1], rtol=1e-4, atol=1e-9)


def test_grouped_explanations_are_exported_grouped(server):
    run = server.explain("One is first. Two is second.", n=2, methods=["rollout"], settings={"by": "sentence"})
    m = np.load(io.BytesIO(export(server, run, "format=npy").body))
    assert list(m.shape) == run["attributions"][0]["shape"]


def test_one_of_two_explanations_by_one_method_is_exported(server):
    run = server.explain(n=2, methods=["rollout"])
    added = server.ok(
        "POST",
        f"/api/runs/{run['id']}/explain",
        {"methods": ["rollout"], "settings": {"remove_sink": True, "discard": 0.5}},
    )["attributions"]
    for index, a in enumerate((run["attributions"][0], *added)):
        m = np.load(io.BytesIO(export(server, run, f"format=npy&attribution={index}").body))
        assert np.allclose(m.mean(-1), unpack(a)[1], rtol=1e-4, atol=1e-9), index
        only = export(server, run, f"format=json&attribution={index}").json["attributions"]
        assert [x["settings"] for x in only] == [a["settings"]]
    for bad, status in (("2", 404), ("x", 400), ("-1", 400), ("99999999999", 400)):
        assert server.get(f"/api/runs/{run['id']}/export?format=npy&attribution={bad}").status == status


def report_data(page):
    start = b'<script type="application/json" id="headwater-data">'
    assert page.count(start) == 1
    text = page.split(start)[1].split(b"</script>")[0]
    assert b"<" not in text
    return json.loads(text)


def test_a_report_is_the_page_with_the_run_inside(server):
    run = server.explain("</script><script>alert(1)</script><!--", n=2, name="</script>")
    page = export(server, run, "format=html").body
    data = report_data(page)
    assert data["format"] == "headwater-document" and data["version"] == 1 and data["runs"] == [run]
    assert data["tables"] == server.ok("GET", "/api/methods")
    empty = server.get("/").body
    assert page.count(b"<script") == empty.count(b"<script") and b"alert(1)" in page


def test_a_report_of_two_runs(server, run):
    other = server.explain("My name is Putin, I am from", n=2)
    data = report_data(export(server, run, f"format=html&with={other['id']}").body)
    assert [r["id"] for r in data["runs"]] == [run["id"], other["id"]] and data["runs"][1] == other


def test_the_program_writes_the_same_report(server, program, smollm, tmp_path):
    import subprocess

    path = tmp_path / "x.html"
    subprocess.run([program, "explain", "-m", smollm, "-p", PROMPT, "-n", "3", "--method", "rollout", "-q", "-o", path],
                   check=True, capture_output=True, timeout=HANG_S)
    run = server.explain(n=3, methods=["rollout"])
    data = report_data(path.read_bytes())
    (matrix, mean), (other, other_mean) = (unpack(r["attributions"][0]) for r in (data["runs"][0], run))
    np.testing.assert_allclose(mean, other_mean, atol=1e-6)  # rows of other batches are summed in another order,
    np.testing.assert_allclose(matrix, other, atol=1 / 255)  # which may take a byte to the next
    assert data["runs"][0]["segments"] == run["segments"] and data["runs"][0]["filters"] == run["filters"]
    close(data["runs"][0]["citations"], run["citations"], 1e-4)
    sentences = "One is first. Two is second. Three is"
    split = [program, "explain", "-m", smollm, "-p", sentences, "-n", "1", "-q", "--by", "sentence", "-o", path]
    subprocess.run(split, check=True, capture_output=True, timeout=HANG_S)
    close(report_data(path.read_bytes())["runs"][0]["citations"], server.explain(sentences, n=1)["citations"], 1e-4)


def test_exports_that_cannot_be(server, run):
    for query, status, part in (
        ("", 400, "html, json, csv"),
        ("format=exe", 400, "html, json, csv"),
        ("format=npy&method=none", 400, "unknown name"),
        ("format=npy&method=flow", 404, "not explained by that method"),
        ("format=npy&with=1", 400, "with format html only"),
        ("format=html&with=x", 400, "id of a run"),
        ("format=html&with=1;2", 400, "id of a run"),
        (f"format=html&with={run['id']}", 400, "another run"),
        ("format=html&with=999999", 404, "999999"),
    ):
        reply = server.get(f"/api/runs/{run['id']}/export?{query}")
        assert reply.status == status and part in reply.error["message"], reply.body
