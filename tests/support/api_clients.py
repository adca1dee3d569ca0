"""api_clients.py CLIENT ADDRESS JSON: one question by a real client, whole and as a stream; prints what it got as JSON.
Runs in the clients' own environment."""

import json
import sys

client, address, given = sys.argv[1:]
question, *texts = json.loads(given)
MESSAGES = [{"role": "user", "content": question}]
MAX = 32


def openai():
    from openai import APIStatusError, OpenAI
    api = OpenAI(base_url=address + "/v1", api_key="none", max_retries=0)
    model = api.models.list().data[0].id

    def ask(**more):
        return api.chat.completions.create(model=model, messages=MESSAGES, max_tokens=MAX,
                                           extra_body={"documents": texts, "citations": True}, **more)

    def plain(note, text):
        place = note["url_citation"]
        return {"document": note["source"]["index"], "begin": note["source"]["start"], "end": note["source"]["end"],
                "text": note["source"]["text"], "from": place["start_index"], "to": place["end_index"],
                "sentence": text[place["start_index"]:place["end_index"]]}

    message = ask().choices[0].message
    streamed, notes = "", []
    for chunk in ask(stream=True):
        delta = chunk.choices[0].delta
        streamed += delta.content or ""
        notes += getattr(delta, "annotations", None) or []
    try:
        ask(n=2)
    except APIStatusError as error:
        return (message.content, [plain(n.model_dump(), message.content) for n in message.annotations], streamed,
                [plain(n, streamed) for n in notes], error)


def anthropic():
    from anthropic import Anthropic, APIStatusError
    api = Anthropic(base_url=address, api_key="none", max_retries=0)
    documents = [{"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": text},
                  "citations": {"enabled": True}} for text in texts]
    asked = {"model": api.models.list().data[0].id, "max_tokens": MAX,
             "messages": [{"role": "user", "content": documents + [{"type": "text", "text": question}]}]}

    def plain(message):
        return [{"document": c.document_index, "begin": c.start_char_index, "end": c.end_char_index,
                 "text": c.cited_text} for block in message.content for c in block.citations or []]

    def text(message):
        return "".join(block.text for block in message.content)

    whole = api.messages.create(**asked)
    with api.messages.stream(**asked) as stream:
        streamed = stream.get_final_message()
    try:
        api.messages.create(tools=[{"name": "f", "input_schema": {"type": "object"}}], **asked)
    except APIStatusError as error:
        return text(whole), plain(whole), text(streamed), plain(streamed), error


def cohere():
    from cohere import ClientV2
    from cohere.core.api_error import ApiError
    api = ClientV2(base_url=address, api_key="none")
    asked = {"model": "headwater", "messages": MESSAGES, "documents": texts, "max_tokens": MAX}

    def plain(c):
        return {"from": c.start, "to": c.end, "sentence": c.text, "ids": [source.id for source in c.sources]}

    message = api.chat(**asked).message
    streamed, citations = "", []
    for event in api.chat_stream(**asked):
        if event.type == "content-delta":
            streamed += event.delta.message.content.text
        elif event.type == "citation-start":
            citations.append(plain(event.delta.message.citations))
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    try:
        api.chat(tools=[tool], request_options={"max_retries": 0}, **asked)
    except ApiError as error:
        return message.content[0].text, [plain(c) for c in message.citations], streamed, citations, error


CLIENTS = {"openai": openai, "anthropic": anthropic, "cohere": cohere}
text, citations, streamed, streamed_citations, error = CLIENTS[client]()
print(json.dumps({"text": text, "citations": citations, "streamed_text": streamed,
                  "streamed_citations": streamed_citations, "refused": type(error).__mro__[0].__name__,
                  "message": str(error)}))
