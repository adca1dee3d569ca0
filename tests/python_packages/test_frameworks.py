"""LangChain's and LlamaIndex's own classes on top of `headwater serve`.

$HEADWATER_FRAMEWORKS is a Python that has them; else build/frameworks (scripts/setup-packages.sh tests).
"""

import json
import os
import pathlib
import subprocess

import pytest
from conftest import ENVIRONMENT, MODEL, ROOT
from patience import HANG_S

FRAMEWORKS = pathlib.Path(os.environ.get("HEADWATER_FRAMEWORKS", ROOT / "build" / "frameworks" / "bin" / "python"))
TEXTS = ["The lighthouse of Norvik was built in 1873.", "The keeper 🙂 is called Anna Holm. She keeps three goats."]
QUESTION = "When was the lighthouse built?"
ANSWER = "The lighthouse of Norvik was built in 1873."
GIVEN = f"address, texts, question = {{!r}}, {TEXTS!r}, {QUESTION!r}\n"

# Each prints the answer, whole and streamed, and the citations of both as [document, begin, end].
LANGCHAIN_ANTHROPIC = """
import json
from langchain_anthropic import ChatAnthropic
model = ChatAnthropic(base_url=address, api_key="none", model="headwater", max_tokens=60)
source = {"type": "text", "media_type": "text/plain"}
documents = [{"type": "document", "source": {**source, "data": text}, "citations": {"enabled": True}} for text in texts]
messages = [{"role": "user", "content": [*documents, {"type": "text", "text": question}]}]
def cited(message):
    notes = [note for block in message.content_blocks for note in block.get("annotations", [])]
    return [[note["extras"][name] for name in ("document_index", "start_char_index", "end_char_index")]
            for note in notes]
whole, streamed = model.invoke(messages), None
for chunk in model.stream(messages):
    streamed = chunk if streamed is None else streamed + chunk
print(json.dumps([whole.text, streamed.text, cited(whole), cited(streamed)]))
"""
LANGCHAIN_OPENAI = """
import json
from langchain_openai import ChatOpenAI
model = ChatOpenAI(base_url=address + "/v1", api_key="none", model="headwater", max_tokens=60,
                   extra_body={"documents": texts})
streamed = "".join(chunk.text for chunk in model.stream(question))
whole = model.invoke(question)
try:
    model.bind(n=2).invoke(question)
except Exception as error:
    print(json.dumps([whole.text, streamed, whole.usage_metadata["output_tokens"], str(error)]))
"""
LLAMA_INDEX = """
import json
from llama_index.core.llms import ChatMessage
from llama_index.llms.openai_like import OpenAILike
model = OpenAILike(model="headwater", api_base=address + "/v1", api_key="none", is_chat_model=True, max_tokens=60,
                   additional_kwargs={"extra_body": {"documents": texts, "citations": True}})
messages = [ChatMessage(role="user", content=question)]
def cited(notes):
    return [[note["source"][name] for name in ("index", "start", "end")] for note in notes]
whole, notes = model.chat(messages), []
for chunk in model.stream_chat(messages):
    if chunk.raw.choices:
        notes += getattr(chunk.raw.choices[0].delta, "annotations", None) or []
print(json.dumps([whole.message.content, chunk.message.content,
                  cited(note.model_dump() for note in whole.raw.choices[0].message.annotations), cited(notes)]))
"""


@pytest.fixture(scope="module")
def address(python):
    command = [python.parent / "headwater", "serve", "-m", MODEL, "--port", "0"]
    with subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          text=True) as server:
        yield server.stdout.readline().strip().rstrip("/")
        server.terminate()


@pytest.fixture
def ask(address):
    def asked(code):
        if not FRAMEWORKS.exists():
            pytest.skip(f"{FRAMEWORKS} does not exist: scripts/setup-packages.sh tests")
        command = [FRAMEWORKS, "-c", GIVEN.format(address) + code]
        done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=HANG_S)
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout)

    return asked


@pytest.mark.parametrize("code", [LANGCHAIN_ANTHROPIC, LLAMA_INDEX], ids=["langchain_anthropic", "llama_index"])
def test_citations_are_what_the_class_has_for_them(ask, code):
    whole, streamed, citations, streamed_citations = ask(code)
    assert whole == streamed and ANSWER in whole
    assert citations == streamed_citations and [0, 0, len(TEXTS[0])] in citations
    assert all(0 <= begin < end <= len(TEXTS[document]) for document, begin, end in citations)


def test_the_chat_model_of_openai_in_langchain(ask):
    whole, streamed, n, error = ask(LANGCHAIN_OPENAI)
    assert whole == streamed and ANSWER in whole and 0 < n <= 60
    assert "one answer" in error
