"""
title: Sources by Headwater
description: Shows which of the retrieved documents each answer came from: the others are not listed.
requirements: aiohttp
version: 1.0
"""

# A filter function for Open WebUI (Admin panel, Functions). Open WebUI's model is another server's, with the same GGUF
# file as `headwater serve`: the filter sends the finished answer to POST /api/explain, which reads it again and says
# what each sentence came from, and emits one "source" event for each document that was cited.

import json
import urllib.request

try:
    from pydantic import BaseModel
except ImportError:  # the filter's own functions need no Open WebUI
    BaseModel = object


def spans_of(prompt, documents):
    """Where each document's text is in the prompt, in characters; documents that are not there are left out."""
    spans, at = [], 0
    for index, text in sorted(enumerate(documents), key=lambda one: prompt.find(one[1])):
        begin = prompt.find(text, at) if text else -1
        if begin >= 0:
            spans.append({"name": str(index), "begin": begin, "end": begin + len(text)})
            at = begin + len(text)
    return spans


def cited(run):
    """Indices of the documents that a run's citations mark, the strongest first, with their shares of the answer."""
    by_passage = next((c for c in run.get("citations", []) if c["by"] == "passage"), None)
    marked = [p for p in by_passage["passages"] if p["number"]] if by_passage else []
    return [(int(p["name"]), p["share"]) for p in sorted(marked, key=lambda p: p["number"])]


def explain(address, messages, answer, documents, token=""):
    """The documents that the answer came from: [(index, share)]."""
    contents = [m["content"] for m in messages if m["content"]]
    body = {"messages": messages, "completion": answer, "spans": spans_of("\n\n".join(contents), documents)}
    if not body["spans"]:
        return []
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    request = urllib.request.Request(f"{address}/api/explain", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=600) as reply:
        return cited(json.load(reply))


class Filter:
    class Valves(BaseModel):
        address: str = "http://127.0.0.1:4780"
        token: str = ""

    def __init__(self):
        self.valves = self.Valves()

    async def outlet(self, body, __event_emitter__=None):
        """Called with the whole conversation when an answer is complete."""
        *messages, last = body["messages"]
        sources = last.get("sources") or []
        documents = [(source, i, text) for source in sources for i, text in enumerate(source.get("document", []))]
        plain = [{"role": m["role"], "content": m["content"]} for m in messages]
        texts = [text for _, _, text in documents]
        for index, share in explain(self.valves.address, plain, last["content"], texts, self.valves.token):
            source, i, text = documents[index]
            await __event_emitter__({"type": "source", "data": {
                "source": source.get("source", {}), "document": [text], "distances": [share],
                "metadata": source.get("metadata", [{}] * (i + 1))[i:i + 1]}})
        return body
