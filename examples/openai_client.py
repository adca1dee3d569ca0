"""An answer with its sources, by OpenAI's own client.

    headwater serve -m model.gguf          # in another terminal
    python examples/openai_client.py [http://127.0.0.1:4780/v1]
"""

import sys

from openai import OpenAI

DOCUMENTS = [
    {"title": "Lamps", "text": "The lighthouse of Norvik was built in 1873. Its lamp burns whale oil."},
    {"title": "Keeper", "text": "The keeper 🙂 is called Anna Holm. She keeps three goats."},
]

client = OpenAI(base_url=sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:4780/v1", api_key="none")
answer = client.chat.completions.create(
    model="headwater",
    messages=[{"role": "user", "content": "Who is the keeper, and when was the lighthouse built?"}],
    max_tokens=60,
    extra_body={"documents": DOCUMENTS, "citations": True},
)
message = answer.choices[0].message
print(message.content)
for note in message.annotations or []:
    place = note.url_citation
    print(f"  {message.content[place.start_index:place.end_index]!r} <- {place.title}: {note.source['text']!r}")
