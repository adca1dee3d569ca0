"""One item of a data set, put together from pieces whose places are known.

tools/headwater/eval_set.h describes its fields. All offsets are code points of the prompt, as Python counts them.
"""


class Prompt:
    """Text that grows by pieces; add() gives the piece's [begin, end]."""

    def __init__(self):
        self.text = ""

    def add(self, piece):
        begin = len(self.text)
        self.text += piece
        return [begin, len(self.text)]


def item(name, prompt, answer, evidence, spans, **tags):
    """`prompt` ends right before the answer, without a space, as tokens begin with theirs."""
    assert prompt == prompt.rstrip() and answer == answer.strip()
    for begin, end in [*evidence, *spans]:
        assert 0 <= begin < end <= len(prompt)
    return {"id": name, "prompt": prompt, "answer": answer, "evidence": evidence, "spans": spans, "tags": tags}
