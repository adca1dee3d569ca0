"""An answer from documents, with the documents that each sentence is based on.

    pip install headwater
    python examples/rag_citations.py MODEL.gguf "Where is the key?"
"""

import sys

import headwater

DOCUMENTS = [
    {"name": "Notes", "text": "The key is in the blue cup. The cup is in the kitchen."},
    {"name": "Diary", "text": "Oscar left for Norvik on Monday. He took the early train."},
    {"name": "Report", "text": "The lighthouse of Norvik was built in 1873. Paula plays the harp there."},
]


def search(question: str, n: int = 2) -> list[dict[str, str]]:
    """The documents that share most words with the question; a real program searches an index here."""
    words = set(question.lower().strip("?").split())
    return sorted(DOCUMENTS, key=lambda d: -len(words & set(d["text"].lower().strip(".").split())))[:n]


with headwater.Model(sys.argv[1], context=1024) as model:
    question = sys.argv[2] if len(sys.argv) > 2 else "Where is the key?"
    answer = model.cite(question, search(question), n=60)
    print(answer)
    for document in answer.documents:
        mark = f"[{document.number}]" if document.number else "   "
        print(f"{mark} {document.name}: {document.share:.0%} of the answer")
