"""Documents as docs/reference/formats.md describes them, made of known numbers; and pages that contain them.

The program writes the same (tests compare): this is for sizes and contents that no model here gives.
"""

import base64
import json
import zlib

import numpy as np

OPENING = '<script type="application/json" id="headwater-data">'
SETTINGS = {"row": "predictor", "direction": "input", "columns": "prompt", "residual": 0.5, "measure": "projection",
            "seed": "0", "n_ablations": 64}
DIAGNOSTICS = {"first_mean": 0.1, "first_last": 0.2, "outside_mean": 0.05, "outside_last": 0.1, "position_mean": 0.3,
               "position_last": 0.4}


def packed(array):
    return base64.b64encode(array).decode()


def attribution(method, values, first_token, **changes):
    """values [n, m, L] as one entry of `attributions`."""
    n, m, layers = values.shape
    signed = bool((values < 0).any())
    most = np.abs(values).max(axis=1)  # [n, L]
    scale = (most / (127 if signed else 255)).astype("<f4")
    steps = np.divide(values, scale[:, None, :], out=np.zeros(values.shape), where=scale[:, None, :] > 0)
    data = np.rint(steps).astype("i1" if signed else "u1").transpose(0, 2, 1)  # [n, L, m]
    matrix = {"dtype": "i8" if signed else "u8", "order": "nLm", "scale": packed(scale.tobytes()),
              "data": packed(zlib.compress(data.tobytes(), 1))}
    mean = {"dtype": "f32", "data": packed(zlib.compress(values.mean(-1).astype("<f4").tobytes(), 1))}
    return {"method": method, "settings": SETTINGS, "diagnostics": DIAGNOSTICS, "layers": list(range(layers)),
            "first_token": first_token, "shape": [n, m, layers], "outside": np.zeros((n, layers)).tolist(),
            "packed": {"matrix": matrix, "mean": mean}} | changes


def token(text, role, at, logprob=None):
    begin, end = at, at + len(text.encode())
    return {"id": 1, "text": text, "range": [begin, end], "role": role, "logprob": logprob}


def tokens(texts, role):
    out, at = [], 0
    for text in texts:
        out.append(token(text, role, at, -0.5 if role == "completion" else None))
        at = out[-1]["range"][1]
    return out


def run(prompt, completion, attributions, segments=None, filters=None, name=None):
    """prompt and completion are lists of token texts."""
    entry = {
        "run": {
            "model": {"name": "Toy", "architecture": "llama", "quantisation": "F16"},
            "options": {},
            "stop": "given",
            "causal": True,
            "prompt": "".join(prompt),
            "completion": "".join(completion),
            "tokens": tokens(prompt, "prompt") + tokens(completion, "completion"),
        },
        "segments": segments or {"prompt": {}, "completion": {}},
        "filters": filters or {"first": [0], "punctuation": []},
        "attributions": attributions,
    }
    return entry | ({"name": name} if name else {})


def document(*runs):
    return {"format": "headwater-document", "version": 1, "headwater": "1.0.0", "runs": list(runs)}


def page_with(page, content):
    """The page's HTML with a document inside, as the program writes reports."""
    assert page.count(OPENING) == 1
    return page.replace(OPENING, OPENING + json.dumps(content).replace("<", "\\u003c"))


WORDS = "the river runs from its source down to the sea and nobody asked where all that water came from .".split()


def synthetic(m, n, layers, seed=0):
    """A run of random numbers: few large ones among many small, as explanations have."""
    rng = np.random.default_rng(seed)
    prompt = [" " + WORDS[i] if i else "The" for i in rng.integers(0, len(WORDS), m)]
    completion = [" " + WORDS[i] for i in rng.integers(0, len(WORDS), n)]
    values = rng.random((n, m, layers), dtype=np.float32) ** 8
    values /= values.sum(axis=1, keepdims=True)
    signed = values * np.where(rng.random((n, m, layers)) < 0.2, -1, 1)
    return run(prompt, completion, [attribution("rollout", values, m), attribution("logit", signed, m)])


def citation(passages, parts, shares, prompt_groups, answer_groups, by="sentence", min_share=0.15, model=0.2):
    """An entry of `citations`: texts of passages (or (name, text)) and of parts, shares [parts, passages]. A passage
    has a mark where its share is at least `min_share`; numbers go by the share of the whole."""
    shares = np.array(shares)
    whole = shares.mean(0)
    marked = [p for p in np.argsort(-whole, kind="stable").tolist() if (shares[:, p] >= min_share).any()]
    number = {p: i + 1 for i, p in enumerate(marked)}
    named = [p if isinstance(p, tuple) else ("", p) for p in passages]
    elsewhere = {"rest": 0.0, "answer": 0.0, "model": model, "through": 0.0}
    return {
        "method": "logit", "by": by, "answer_by": "sentence", "elsewhere": elsewhere,
        "rule": {"name": "share", "shares": "", "peak": "", "min_peak": min_share},
        "passages": [{"number": number.get(p), "name": name, "text": text, "share": float(whole[p])}
                     for p, (name, text) in enumerate(named)],
        "answer": [{"text": text, "elsewhere": elsewhere,
                    "citations": [{"number": number[p], "passage": p, "share": float(row[p])}
                                  for p in marked if row[p] >= min_share]}
                   for text, row in zip(parts, shares)],
        "shares": shares.tolist(), "prompt_groups": prompt_groups, "answer_groups": answer_groups,
    }


def confirmed(cited, falls):
    """The same citation with what the answer loses without a passage: {passage: nats}."""
    passages = [p | {"measured": k in falls, "fall": falls.get(k, 0.1), "stand_in": None}
                for k, p in enumerate(cited["passages"])]
    return {k: v for k, v in cited.items() if not k.endswith("_groups")} | {"passages": passages}
