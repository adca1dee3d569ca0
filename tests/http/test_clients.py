"""The real clients of other APIs against the server, and the examples. They are installed apart from the tests' own
packages (requirements-clients.txt, scripts/setup-python.sh); what each did is compared with the plain answers of
test_answers.py's requests."""

import asyncio
import importlib.util
import json
import os
import pathlib
import subprocess

import pytest

from patience import HANG_S
from shown import is_shown

ROOT = pathlib.Path(__file__).resolve().parents[2]
LAMPS = "🙂 灯台の光は白い。 The lighthouse of Norvik was built in 1873. Its lamp burns whale oil."
KEEPER = "🐐🐐 é: the keeper is called Anna Holm. She keeps three goats."
QUESTION = "Who is the keeper, and when was the lighthouse built?"


@pytest.fixture(scope="module")
def python():
    """The interpreter that has the clients."""
    path = pathlib.Path(os.environ["HEADWATER_CLIENTS"])
    assert path.exists(), "no clients: run scripts/setup-python.sh"
    return path


def run(python, *arguments):
    done = subprocess.run([python, *arguments], capture_output=True, text=True, timeout=HANG_S)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.parametrize("client", ["openai", "anthropic", "cohere"])
def test_whole_answers_and_streams_are_the_same_and_point_to_their_texts(python, server, client):
    script = ROOT / "tests/support/api_clients.py"
    out = json.loads(run(python, script, client, f"http://127.0.0.1:{server.port}",
                         json.dumps([QUESTION, LAMPS, KEEPER])))
    assert out["text"] and out["text"] == out["streamed_text"]
    assert out["citations"] and out["citations"] == out["streamed_citations"]
    for citation in out["citations"]:
        if "document" in citation:
            assert (LAMPS, KEEPER)[citation["document"]][citation["begin"]:citation["end"]] == citation["text"]
        if "sentence" in citation:
            assert out["text"][citation["from"]:citation["to"]] == citation["sentence"]
    assert out["refused"] and "Error" in out["refused"]
    assert "one answer" in out["message"] or "no tools" in out["message"]


def test_the_example_of_openai(python, server):
    out = run(python, ROOT / "examples/openai_client.py", f"http://127.0.0.1:{server.port}/v1")
    answer, *sources = out.splitlines()
    assert answer and sources and all(" <- " in line for line in sources)
    is_shown(out, "docs/guide/clients.md", "docs/guide/examples.md")


def test_the_filter_for_open_webui(server):
    spec = importlib.util.spec_from_file_location("filter", ROOT / "examples/open_webui_filter.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    events = []

    async def emit(event):
        events.append(event)

    other = "Bread needs flour and water."
    filter = module.Filter()
    filter.valves.address = f"http://127.0.0.1:{server.port}"
    sources = [{"source": {"name": "a"}, "document": [LAMPS, other], "metadata": [{"page": 1}, {"page": 2}]},
               {"source": {"name": "b"}, "document": [KEEPER], "metadata": [{"page": 3}]}]
    body = {"messages": [{"role": "user", "content": f"{LAMPS}\n\n{other}\n\n{KEEPER}\n\n{QUESTION}"},
                         {"role": "assistant", "content": "The lighthouse of Norvik was built in 1873.",
                          "sources": sources}]}
    assert asyncio.run(filter.outlet(body, emit)) is body
    shown = [(e["data"]["source"]["name"], e["data"]["metadata"][0]["page"]) for e in events]
    assert all(e["type"] == "source" for e in events) and ("a", 1) in shown and ("a", 2) not in shown, shown
