"""Runs that go on: after their client has left, and after the limit of tokens; and what watching clients get."""

import pytest
from conftest import ENDLESS, PROMPT, Stream, unpack
from patience import until

MESSAGES = [{"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Tell me a long story about a river and a mill."}]


def ids(run):
    return [t["id"] for t in run["run"]["tokens"][run["run"]["n_prompt"]:]]


def mean_of(run, method):
    return unpack(next(a for a in run["attributions"] if a["method"] == method))[1]


def watch(server, path):
    connection, response = server.send("GET", path)
    assert response.status == 200 and response.headers["Content-Type"] == "text/event-stream", response.read()
    return Stream(connection, response)


def test_a_continued_run_is_the_longer_one_under_the_same_id(server):
    body = {"messages": MESSAGES, "methods": ["logit", "rollout"]}
    whole = server.ok("POST", "/api/explain", body | {"options": {"n_generate": 16}})
    short = server.ok("POST", "/api/explain", body | {"options": {"n_generate": 6}})
    assert short["run"]["stop"] == "length" and ids(short) == ids(whole)[:6]
    longer = server.ok("POST", f"/api/runs/{short['id']}/continue", {"n_generate": 10})
    assert longer["id"] == short["id"] and longer["run"]["stop"] == "length"
    assert ids(longer) == ids(whole) and longer["run"]["completion"] == whole["run"]["completion"]
    assert server.ok("GET", f"/api/runs/{short['id']}") == longer
    for method in body["methods"]:
        a, b = mean_of(longer, method), mean_of(whole, method)
        assert a.shape == b.shape and a.shape[0] == 16
        assert ((a - b) ** 2).sum() <= 2e-3 * (b ** 2).sum(), method  # kernels of other batch shapes round otherwise
    assert server.ok("GET", f"/api/runs/{short['id']}/request") == body | {"options": {"n_generate": 6}}


def test_a_continued_run_keeps_tokens_that_no_tokenizer_would_make(server):
    """The ids are kept, not the text: read again, it would be other tokens."""
    run = server.explain("The sea", n=4)
    spelled = server.explain("The sea", completion=" i", options={})
    begun = [*ids(spelled), *ids(server.explain("The sea", completion="s", options={})), *ids(run)[:2]]
    made = server.ok("POST", "/api/explain", {"prompt": "The sea", "begun": begun, "options": {"n_generate": 2}})
    assert ids(made)[:-2] == begun and len(ids(made)) == len(begun) + 2
    assert made["run"]["completion"].startswith(" is")


@pytest.mark.parametrize("body, said", [
    ({"begun": []}, '"begun" must be a list of token ids'),
    ({"begun": [-1]}, '"begun" must be a list of token ids'),
    ({"begun": ["a"]}, '"begun" must be a list of token ids'),
    ({"begun": [10 ** 9]}, "token 0 of the completion has the id 1000000000: the model has 0 to 49151"),
    ({"begun": [1], "completion": "a"}, '"begun" cannot be combined with "completion"'),
])
def test_bad_beginnings_are_refused(server, body, said):
    reply = server.post("/api/explain", {"prompt": "a"} | body)
    assert reply.status == 400 and said in reply.error["message"]


def test_what_cannot_go_on_is_refused(server):
    ended = server.ok("POST", "/api/explain", {"messages": [{"role": "user", "content": "Say hello."}],
                                               "options": {"n_generate": 200}})
    assert ended["run"]["stop"] == "end"
    reply = server.post(f"/api/runs/{ended['id']}/continue", {})
    assert reply.status == 400 and "ended by the model" in reply.error["message"]
    assert server.post("/api/runs/99999/continue", {}).status == 404
    assert server.post(f"/api/runs/{ended['id']}/continue", {"n_generate": 0}).status == 400
    assert server.ok("GET", f"/api/runs/{ended['id']}") == ended


def test_a_stopped_continuation_keeps_both(server):
    run = server.explain(ENDLESS, n=5)
    stream = server.stream(f"/api/runs/{run['id']}/continue", {"n_generate": 2000})
    seen = stream.until("queued")
    for _ in range(8):
        seen += stream.until("token")
    server.ok("POST", f"/api/jobs/{seen[0][1]['job']}/stop")
    longer = stream.until("done")[-1][1]["run"]
    assert longer["id"] == run["id"] and ids(longer)[:5] == ids(run) and len(ids(longer)) >= 8
    assert longer["run"]["stop"] == "cancelled"


def test_a_detached_run_goes_on_and_can_be_watched(server):
    body = {"prompt": ENDLESS, "methods": ["rollout"], "options": {"n_generate": 60}}
    first = server.stream("/api/explain?detached=true", body)
    seen = first.until("token")
    started = dict(seen)["started"]
    first.close()
    assert next(r for r in server.ok("GET", "/api/runs")["runs"] if r["id"] == started["run"])["job"] == started["job"]
    events = list(watch(server, f"/api/jobs/{started['job']}/events"))
    names = [name for name, _ in events]
    assert names[:1] == ["queued"] and names.index("prompt") < names.index("token")
    assert [data["index"] for name, data in events if name == "token"] == list(range(60))
    assert events[-1][0] == "done" and len(ids(events[-1][1]["run"])) == 60
    assert server.ok("GET", f"/api/runs/{started['run']}") == events[-1][1]["run"]
    assert server.get(f"/api/jobs/{started['job']}/events").status == 404
    assert server.post("/api/explain?detached=maybe", body).status == 400


def test_changes_of_the_list_are_sent(server):
    news = watch(server, "/api/events")
    run = server.explain(PROMPT, n=1)
    assert next(news) == ("runs", {"run": run["id"]})  # it began
    assert next(news) == ("runs", {"run": run["id"]})  # it is finished
    server.ask("PATCH", f"/api/runs/{run['id']}", {"name": "a name"})
    assert next(news) == ("runs", {"run": run["id"]})
    server.ok("DELETE", f"/api/runs/{run['id']}")
    assert next(news) == ("runs", {"run": run["id"]})
    news.close()
    until(lambda: server.ok("GET", "/api/status")["queue"] == 0, "the queue is empty")


def test_the_news_end_with_the_server(serve):
    server = serve("--no-store")
    news = watch(server, "/api/events")
    assert server.stop() == 0
    assert list(news) == []
