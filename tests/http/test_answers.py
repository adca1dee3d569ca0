"""The chat APIs of other servers: answers with citations, streams that say the same, refusals in each API's form."""

import json
import time

import pytest

from conftest import ENDLESS
from patience import patience, until

# Characters of two to four bytes stand before every sentence that an answer can come from.
LAMPS = "🙂 灯台の光は白い。 The lighthouse of Norvik was built in 1873. Its lamp burns whale oil."
KEEPER = "🐐🐐 é: the keeper is called Anna Holm. She keeps three goats."
QUESTION = "Who is the keeper, and when was the lighthouse built?"
DOCUMENTS = [{"title": "Lamps", "text": LAMPS}, {"id": "b", "url": "https://e.org/b", "text": KEEPER}]


def chat(**more):
    return {"messages": [{"role": "user", "content": QUESTION}], "max_tokens": 32} | more


def blocks(*documents):
    return [{"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": text},
             "citations": {"enabled": True}} for text in documents]


def messages(**more):
    content = blocks(LAMPS, KEEPER) + [{"type": "text", "text": QUESTION}]
    return {"messages": [{"role": "user", "content": content}], "max_tokens": 32} | more


CITED = {"/v1/chat/completions": chat(documents=DOCUMENTS, citations=True),
         "/v1/completions": {"prompt": QUESTION, "max_tokens": 32, "documents": DOCUMENTS, "citations": True},
         "/v1/messages": messages(),
         "/v2/chat": chat(documents=[{"id": "a", "data": {"title": "Lamps", "text": LAMPS}}, KEEPER])}


def events(server, path, body):
    """[(event name or None, data)] of a stream; "[DONE]" is left as it is."""
    reply = server.ask("POST", path, body | {"stream": True})
    assert reply.status == 200, reply.body[:300]
    assert reply.headers["Content-Type"] == "text/event-stream"
    out = []
    for block in reply.body.decode().split("\n\n"):
        lines = [line for line in block.split("\n") if line and not line.startswith(":")]
        if not lines:
            continue
        name = lines[0].removeprefix("event: ") if lines[0].startswith("event: ") else None
        data = lines[-1].removeprefix("data: ")
        out.append((name, data if data == "[DONE]" else json.loads(data)))
    return out


def openai_stream(server, path, part):
    """(text, annotations with the length of the text before them, finish reason) of a stream."""
    text, notes, finish = "", [], None
    stream = events(server, path, CITED[path])
    assert stream[-1][1] == "[DONE]"
    for _, chunk in stream[:-1]:
        choice = chunk["choices"][0]
        delta = choice.get("delta", choice)
        text += delta.get(part) or ""
        notes += [(note, len(text)) for note in choice.get("annotations") or delta.get("annotations") or []]
        finish = choice["finish_reason"] or finish
    return text, notes, finish


@pytest.fixture(scope="module")
def whole(server):
    return {path: server.ok("POST", path, body) for path, body in CITED.items()}


def test_sources_are_characters_of_the_answer_and_of_the_document(whole):
    answer = whole["/v1/chat/completions"]
    message, texts = answer["choices"][0]["message"], [LAMPS, KEEPER]
    assert message["annotations"], message
    for note in message["annotations"]:
        place, source = note["url_citation"], note["source"]
        sentence = message["content"][place["start_index"]:place["end_index"]]
        assert sentence == sentence.strip() and sentence
        assert texts[source["index"]][source["start"]:source["end"]] == source["text"]
        assert 0 < source["share"] <= 1 and 0.2 <= source["peak"] <= 1
        document = DOCUMENTS[source["index"]]
        assert place["url"] == document.get("url", "doc:0") and place["title"] == document.get("title", "b")
    assert answer["usage"]["total_tokens"] == sum(answer["usage"][k] for k in ("prompt_tokens", "completion_tokens"))


@pytest.mark.parametrize("path,part", [("/v1/chat/completions", "content"), ("/v1/completions", "text")])
def test_streams_of_openai_say_the_same(server, whole, path, part):
    choice = whole[path]["choices"][0]
    message = choice.get("message", choice)
    text, notes, finish = openai_stream(server, path, part)
    assert text == message[part] and finish == choice["finish_reason"]
    assert [note for note, _ in notes] == message["annotations"] != []
    for note, sent in notes:  # when the sentence has ended, before the next one
        assert 0 <= sent - note["url_citation"]["end_index"] <= 2, note


def test_blocks_of_anthropic(server, whole):
    answer, texts = whole["/v1/messages"], [LAMPS, KEEPER]
    openai = whole["/v1/chat/completions"]["choices"][0]["message"]
    assert "".join(block["text"] for block in answer["content"]).strip()
    cited = [c for block in answer["content"] for c in block["citations"] or []]
    assert cited and openai["annotations"]
    for c in cited:
        assert c["type"] == "char_location"
        assert texts[c["document_index"]][c["start_char_index"]:c["end_char_index"]] == c["cited_text"]
    blocks = []
    for name, data in events(server, "/v1/messages", CITED["/v1/messages"]):
        assert data["type"] == name
        if name == "content_block_start":
            blocks.append({"type": "text", "text": "", "citations": None})
        elif name == "content_block_delta" and data["delta"]["type"] == "text_delta":
            blocks[-1]["text"] += data["delta"]["text"]
        elif name == "content_block_delta":
            blocks[-1]["citations"] = (blocks[-1]["citations"] or []) + [data["delta"]["citation"]]
        elif name == "message_delta":
            assert data["delta"]["stop_reason"] == answer["stop_reason"]
    assert blocks == answer["content"]


def test_citations_of_cohere(server, whole):
    message = whole["/v2/chat"]["message"]
    text = message["content"][0]["text"]
    assert message["citations"]
    for c in message["citations"]:
        assert text[c["start"]:c["end"]] == c["text"] and c["type"] == "TEXT_CONTENT"
        for source in c["sources"]:
            assert source["document"]["text"] in (LAMPS, KEEPER) and source["id"] in ("a", "doc:1")
    stream = events(server, "/v2/chat", CITED["/v2/chat"])
    deltas = [data["delta"]["message"] for name, data in stream if name == "content-delta"]
    assert "".join(delta["content"]["text"] for delta in deltas) == text
    assert [d["delta"]["message"]["citations"] for n, d in stream if n == "citation-start"] == message["citations"]
    assert stream[0][0] == "message-start" and stream[-1][0] == "message-end"


def test_numbers_on_request(server):
    answer = server.ok("POST", "/v1/chat/completions", CITED["/v1/chat/completions"] | {"attribution": True})
    numbers = answer["attribution"]
    assert numbers["method"] == "logit" and [p["document"] for p in numbers["passages"]] == [0, 0, 0, 1, 1]
    for part, row in zip(numbers["answer"], numbers["shares"]):
        assert abs(sum(row) + sum(part["elsewhere"][k] for k in ("rest", "answer", "model")) - 1) < 1e-6


# ------------------------------------------------------------------ text

def completion(server, **more):
    return server.ok("POST", "/v1/completions", {"prompt": ENDLESS, "max_tokens": 24} | more)["choices"][0]


def test_a_stop_text_ends_the_answer_before_itself(server):
    text = completion(server)["text"]
    stop = text[8:11]
    cut = completion(server, stop=["never", stop])
    assert cut["text"] == text[:text.index(stop)] and cut["finish_reason"] == "stop"
    pieces = [chunk["choices"][0]["text"] for _, chunk in
              events(server, "/v1/completions", {"prompt": ENDLESS, "max_tokens": 24, "stop": stop})[:-1]]
    assert "".join(pieces) == cut["text"]
    anthropic = server.ok("POST", "/v1/messages", messages(stop_sequences=["lighthouse"]))
    assert anthropic["stop_reason"] == "stop_sequence" and anthropic["stop_sequence"] == "lighthouse"
    assert "lighthouse" not in anthropic["content"][0]["text"]


def test_log_probabilities(server):
    choice = completion(server, logprobs=3, max_tokens=4)
    logprobs = choice["logprobs"]
    assert choice["finish_reason"] == "length" and "".join(logprobs["tokens"]) == choice["text"]
    assert logprobs["text_offset"] == [sum(map(len, logprobs["tokens"][:i])) for i in range(4)]
    for token, value, top in zip(logprobs["tokens"], logprobs["token_logprobs"], logprobs["top_logprobs"]):
        assert len(top) == 3 and value == top[token] == max(top.values()) <= 0
    entries = server.ok("POST", "/v1/chat/completions", chat(max_tokens=3, logprobs=True, top_logprobs=2))
    entries = entries["choices"][0]["logprobs"]["content"]
    assert len(entries) == 3 and all(len(e["top_logprobs"]) == 2 and bytes(e["bytes"]) for e in entries)


def test_seeds_repeat_an_answer(server):
    texts = {seed: [completion(server, temperature=1.5, seed=seed)["text"] for _ in range(2)] for seed in (1, 2)}
    assert texts[1][0] == texts[1][1] and texts[2][0] == texts[2][1] and texts[1] != texts[2]


def test_a_text_of_another_script_in_pieces(server):
    """Characters of several tokens arrive whole."""
    body = chat(max_tokens=24, messages=[{"role": "user", "content": "Write only this: 灯台 🙂 灯台 🙂"}])
    text = server.ok("POST", "/v1/chat/completions", body)["choices"][0]["message"]["content"]
    pieces = [c["choices"][0]["delta"].get("content", "") for _, c in events(server, "/v1/chat/completions", body)[:-1]]
    assert "".join(pieces) == text


# ------------------------------------------------------------------ refusals

def message_of(path, reply):
    """The message of an error in the form of the address's API."""
    body = reply.json
    if path == "/v2/chat":
        assert set(body) == {"message"}
        return body["message"]
    if path == "/v1/messages":
        assert body["type"] == "error" and set(body["error"]) == {"type", "message"}
        return body["error"]["message"]
    assert set(body) == {"error"} and set(body["error"]) == {"message", "type", "param", "code"}
    return body["error"]["message"]


TOOL = [{"type": "function", "function": {"name": "f"}}]
IMAGE = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}]
BAD = [
    ("/v1/chat/completions", {"n": 2}, '"n"'),
    ("/v1/chat/completions", {"tools": TOOL}, "no tools"),
    ("/v1/chat/completions", {"messages": IMAGE}, "text only"),
    ("/v1/chat/completions", {"messages": []}, "at least one message"),
    ("/v1/chat/completions", {"messages": "hi"}, "at least one message"),
    ("/v1/chat/completions", {"messages": [1]}, "must be an object"),
    ("/v1/chat/completions", {"messages": [{"role": "wizard", "content": "a"}]}, "system, developer, user, assistant"),
    ("/v1/chat/completions", {"messages": [{"role": "user"}]}, "content"),
    ("/v1/chat/completions", {"messages": [{"role": "user", "content": ""}]}, "empty"),
    ("/v1/chat/completions", {"response_format": {"type": "json_object"}}, "response_format"),
    ("/v1/chat/completions", {"frequency_penalty": 0.5}, "penalties"),
    ("/v1/chat/completions", {"logit_bias": {"1": 2}}, "logit_bias"),
    ("/v1/chat/completions", {"temperature": -1}, "temperature"),
    ("/v1/chat/completions", {"temperature": "hot"}, "temperature"),
    ("/v1/chat/completions", {"top_p": 2}, "top_p"),
    ("/v1/chat/completions", {"max_tokens": 0}, "max_tokens"),
    ("/v1/chat/completions", {"max_tokens": 1.5}, "max_tokens"),
    ("/v1/chat/completions", {"seed": "x"}, "seed"),
    ("/v1/chat/completions", {"stop": [""]}, "stop"),
    ("/v1/chat/completions", {"stop": ["a"] * 17}, "stop"),
    ("/v1/chat/completions", {"stop": {"a": 1}}, "stop"),
    ("/v1/chat/completions", {"logprobs": True, "top_logprobs": 6}, "top_logprobs"),
    ("/v1/chat/completions", {"top_logprobs": 1}, "logprobs"),
    ("/v1/chat/completions", {"stream": "yes"}, "stream"),
    ("/v1/chat/completions", {"stream_options": {"nonsense": 1}}, "stream_options"),
    ("/v1/chat/completions", {"citations": True}, "documents"),
    ("/v1/chat/completions", {"attribution": True}, "citations"),
    ("/v1/chat/completions", {"documents": {"a": 1}}, "must be a list"),
    ("/v1/chat/completions", {"documents": [{"title": "a"}]}, "document 0"),
    ("/v1/chat/completions", {"documents": [""]}, "document 0"),
    ("/v1/chat/completions", {"documents": ["a", {"id": 7, "text": "a"}]}, "document 1"),
    ("/v1/chat/completions", {"documents": ["a"] * 1001}, "1000"),
    ("/v1/chat/completions", {"documents": [" \n "], "citations": True}, "blank"),
    ("/v1/chat/completions", {"nonsense": 1}, "nonsense"),
    ("/v1/completions", {"prompt": "a", "n": 2}, "one answer"),
    ("/v1/completions", {"prompt": "a", "tools": TOOL}, "tools"),
    ("/v1/completions", {"prompt": IMAGE}, "one text"),
    ("/v1/completions", {"prompt": ["a", "b"]}, "one text"),
    ("/v1/completions", {"prompt": [1, 2]}, "one text"),
    ("/v1/completions", {"prompt": "a", "echo": True}, "echo"),
    ("/v1/completions", {"prompt": "a", "best_of": 2}, "best_of"),
    ("/v1/completions", {"prompt": ""}, "prompt"),
    ("/v1/messages", {"n": 2}, "one answer"),
    ("/v1/messages", {"max_tokens": None}, "max_tokens"),
    ("/v1/messages", {"tools": [{"name": "f"}]}, "no tools"),
    ("/v1/messages", {"thinking": {"type": "enabled", "budget_tokens": 1024}}, "thinking"),
    ("/v1/messages", {"messages": [{"role": "user", "content": [{"type": "image", "source": {}}]}]}, "image"),
    ("/v1/messages", {"messages": [{"role": "user", "content": [{"type": "document", "source": {"type": "url"}}]}]},
     "source"),
    ("/v1/messages", {"messages": [{"role": "user", "content": blocks("a") + [{"type": "document", "source": {
        "type": "text", "media_type": "text/plain", "data": "b"}}]}]}, "all documents"),
    ("/v1/messages", {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]},
     "last message"),
    ("/v1/messages", {"system": [{"type": "image"}]}, "system"),
    ("/v2/chat", {"n": 2}, "one answer"),
    ("/v2/chat", {"tools": TOOL}, "no tools"),
    ("/v2/chat", {"messages": IMAGE}, "text only"),
    ("/v2/chat", {"logprobs": True}, "logprobs"),
    ("/v2/chat", {"citation_options": {"mode": "LOUD"}}, "mode"),
    ("/v2/chat", {"safety_mode": "STRICT"}, "safety_mode"),
]


@pytest.mark.parametrize("path,fields,said", BAD, ids=[f"{p}-{'-'.join(f)}-{i}" for i, (p, f, _) in enumerate(BAD)])
def test_what_is_refused(server, path, fields, said):
    body = chat() if path != "/v1/completions" else {}
    reply = server.ask("POST", path, body | fields)
    assert reply.status in (400, 422), reply.body[:300]
    assert said in message_of(path, reply), reply.body[:300]


@pytest.mark.parametrize("path", list(CITED))
def test_refusals_have_the_form_of_the_api(server, path):
    for body, headers, status in ((b"{", {}, 400), (b"[]", {}, 400), (b"{}", {"Content-Type": "text/plain"}, 415),
                                  (b"{}", {"Host": "example.org"}, 403), (b'{"a":' * 3000, {}, 400),
                                  (b'{"a":1,"a":2}', {}, 400), (b" " * ((8 << 20) + 1), {}, 413)):
        reply = server.ask("POST", path, body, headers)
        assert reply.status == status and message_of(path, reply), (status, reply.body[:200])
    reply = server.ask("GET", path)
    assert reply.status == 405 and message_of(path, reply)


def test_models_that_are_not_loaded(server):
    models = server.ok("GET", "/v1/models")["data"]
    assert [m["object"] for m in models] == ["model"] and models[0]["id"].startswith("SmolLM2-135M-Instruct")
    assert server.ask("POST", "/v1/chat/completions", chat(model=models[0]["id"], max_tokens=1)).status == 200
    one = server.ok("GET", f"/v1/models/{models[0]['id']}")
    assert {**one, "created": 0, "created_at": ""} == {**models[0], "created": 0, "created_at": ""}
    missing = server.ask("GET", "/v1/models/gpt%2F4o")
    assert missing.status == 404 and missing.json["error"]["code"] == "model_not_found"
    assert '"gpt/4o" is not loaded' in missing.json["error"]["message"]
    for path, body in CITED.items():
        reply = server.ask("POST", path, body | {"model": "gpt-4o"})
        assert reply.status == 404
        assert f'"model" is "gpt-4o": this server runs "{models[0]["id"]}"' in message_of(path, reply)
        assert kind_of(path, reply) == {"openai": "model_not_found", "anthropic": "not_found_error"}.get(API[path])


API = {"/v1/chat/completions": "openai", "/v1/completions": "openai", "/v1/messages": "anthropic", "/v2/chat": "cohere"}


def kind_of(path, reply):
    """The word for programs in an error; Cohere's have none."""
    error = reply.json.get("error", {})
    return {"openai": error.get("code"), "anthropic": error.get("type")}.get(API[path])


def with_documents(path, *texts):
    """A request of the path's API with these documents, cited."""
    if path == "/v1/messages":
        return messages() | {"messages": [{"role": "user", "content": [*blocks(*texts), {"type": "text",
                                                                                          "text": QUESTION}]}]}
    cites = {} if path == "/v2/chat" else {"citations": True}
    question = {"prompt": QUESTION} if path == "/v1/completions" else {"messages": chat()["messages"]}
    return question | cites | {"documents": list(texts), "max_tokens": 32}


def test_documents_over_the_context_say_which_would_fit(serve):
    server = serve("--no-store", "--ctx", 256)
    long = "The lamp burns whale oil in the night. " * 40
    for path in CITED:
        for stream in (False, True):
            reply = server.ask("POST", path, with_documents(path, KEEPER, long, LAMPS) | {"stream": stream})
            assert reply.status == 400 and kind_of(path, reply) == {
                "openai": "context_length_exceeded", "anthropic": "invalid_request_error"}.get(API[path])
            assert "2 of 3 documents would fit: those with index 0, 2" in message_of(path, reply)
        assert server.ask("POST", path, with_documents(path, KEEPER, LAMPS) | {"max_tokens": 1}).status == 200
    message = server.ask("POST", "/v1/chat/completions", chat(max_tokens=300)).json["error"]["message"]
    assert "256" in message and "300" in message and "document" not in message
    assert server.stop() == 0


# ------------------------------------------------------------------ clients that leave

def leave(server, body, stream):
    """Sends the request, and closes the connection when the model works on it; returns the seconds until it is free."""
    sending = server.connect()
    sending.request("POST", "/v1/completions", json.dumps(body), {"Content-Type": "application/json"})
    until(lambda: server.ok("GET", "/api/status")["queue"] == 1, "the job does not begin")
    response = sending.getresponse() if stream else sending.sock
    if stream:
        response.read(100)
    began = time.monotonic()
    response.close()
    sending.close()
    server.idle()
    return time.monotonic() - began


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_leaves_frees_the_model(server, stream):
    took = leave(server, {"prompt": ENDLESS, "max_tokens": 4000, "stream": stream}, stream)
    assert took < patience(3), took  # 4,000 tokens take a minute
    assert completion(server, max_tokens=1)["text"]


def test_a_client_that_leaves_while_its_prompt_is_read_frees_the_model(server):
    long = "The lamp burns whale oil in the night. " * 700  # 7,000 tokens, of which reading takes half a minute
    took = leave(server, {"prompt": long, "max_tokens": 1}, False)
    assert took < patience(3), took
    assert completion(server, max_tokens=1)["text"]
