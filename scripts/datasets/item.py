"""Builds one item of a data set from pieces with known positions.

tools/headwater/eval/dataset.h describes its fields. All offsets are code points of the prompt, as in Python strings.
"""


class Prompt:
    """A text built from pieces; add() returns the piece's [begin, end]."""

    def __init__(self):
        self.text = ""

    def add(self, piece):
        begin = len(self.text)
        self.text += piece
        return [begin, len(self.text)]


def item(name, prompt, answer, evidence, spans, **tags):
    """`prompt` ends directly before the answer, without a space, because tokens begin with theirs. `answer`: a text, or
    a list of texts of which each is right."""
    answers = answer if isinstance(answer, list) else [answer]
    assert prompt == prompt.rstrip() and all(text == text.strip() for text in answers)
    for begin, end in [*evidence, *spans]:
        assert 0 <= begin < end <= len(prompt)
    return {"id": name, "prompt": prompt, "answer": answer, "evidence": evidence, "spans": spans, "tags": tags}
