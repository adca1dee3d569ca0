#!/usr/bin/env python3
"""Attention rollout in NumPy float64: the reference that Headwater is tested against.

Abnar & Zuidema, "Quantifying Attention Flow in Transformers", 2020 (arXiv 2005.00928),
for a generated text of T tokens = m prompt + n completion, in a model of L layers and H heads:

    fuse        Ā_l[q,k]  = mean, max or min over h of A_l[h,q,k]   (max, min: rows sum to 1 again)
    residual    Â_l[q,:]  = (r e_q + (1-r) Ā_l[q,:]) / (r + (1-r) Σ_k Ā_l[q,k])
    input       S_l = Â_l Â_{l-1} … Â_0 G       from the embeddings up to layer l
    output      S_l = Â_{L-1} … Â_l G           from the last layer down to layer l
    rows        M[i,k,l] = S_l[q_i,k]           q_i = m-1+i (predictor) or m+i (own), 0 <= i < n

q is a query position (row), k a key position (column); G is the identity, or the indicator [T, K]
of K segments: grouping commutes with the products, so that M is then exact for each segment.

    python scripts/reference_rollout.py IN.safetensors OUT.safetensors --m 16

reads the tensor `attention` [L,H,T,T] or [L,T,T], writes `attribution` [n,m,L] and `outside` [n,L]
(without --m: `attribution` [T,T,L]) and prints the diagnostics as JSON.
"""

import argparse
import json

import numpy as np


def normalise_rows(a):
    """Scales the rows of a [..., T] to sum to 1; an empty row stays empty."""
    total = a.sum(-1, keepdims=True)
    return np.divide(a, total, out=np.zeros_like(a), where=total > 0)


def fuse_heads(attention, how="mean"):
    """A [L,H,T,T] -> Ā [L,T,T]. The mean keeps row sums below 1, of models with learned sinks."""
    attention = np.asarray(attention, dtype=np.float64)
    if attention.ndim == 3:  # already fused
        return attention
    if how == "mean":
        return attention.mean(1)
    return normalise_rows({"max": attention.max, "min": attention.min}[how](1))


def add_residual(fused, r=0.5):
    """Ā [L,T,T] -> Â [L,T,T], rows sum to 1. r: residual weight; an empty row becomes e_q."""
    eye = np.eye(fused.shape[-1])
    empty = fused.sum(-1, keepdims=True) <= 0
    return np.where(empty, eye, normalise_rows(r * eye + (1 - r) * fused))


def rollout(mixed, direction="input", grouping=None):
    """Â [L,T,T] -> S [L,T,K], K = T unless a grouping [T,K] is given."""
    n_tok = mixed.shape[-1]
    if grouping is None:
        grouping = np.eye(n_tok)
    if direction == "input":
        steps, state = [], grouping
        for layer in mixed:  # R_{l+1} = Â_l R_l, S_l = R_{l+1}
            state = layer @ state
            steps.append(state)
        return np.stack(steps)
    steps, state = [], np.eye(n_tok)
    for layer in mixed[::-1]:  # the layer below multiplies from the right
        state = state @ layer
        steps.append(state @ grouping)
    return np.stack(steps[::-1])


def query_rows(row, m, n_tok):
    """Positions q_i [n] of the n = T - m completion tokens."""
    return np.arange(m, n_tok) - (1 if row == "predictor" else 0)


def slice_prompt(s, rows, m):
    """S [L,T,T] -> M [n,m,L] and the mass on columns that are not the prompt, outside [n,L]."""
    picked = s[:, rows, :].transpose(1, 2, 0)  # [n,T,L]
    return picked[:, :m, :], picked[:, m:, :].sum(1)


def average_ranks(x):
    """Ranks of x [m] from 1; equal values share the mean of their ranks."""
    _, inverse, counts = np.unique(x, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[inverse]


def spearman(x, y):
    """Rank correlation of x [m] and y [m]; 0 if one of them is constant."""
    a, b = (r - r.mean() for r in (average_ranks(x), average_ranks(y)))
    scale = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / scale) if scale > 0 else 0.0


def diagnostics(attribution, outside):
    """Properties of M [n,m,L] and outside [n,L] that come from the method rather than the text."""
    _, m, _ = attribution.shape
    index = np.arange(m)
    return {
        "token0_mean": float(attribution[:, 0, :].mean()),
        "token0_last": float(attribution[:, 0, -1].mean()),
        "position_spearman": float(np.mean([spearman(a, index) for a in attribution.mean(-1)])),
        "outside_mean": float(outside.mean()),
        "outside_last": float(outside[:, -1].mean()),
    }


def attribute(attention, m=None, row="predictor", direction="input", fuse="mean", residual=0.5):
    """A [L,H,T,T] -> M [n,m,L] and outside [n,L]; without m, S as [T,T,L] and None."""
    s = rollout(add_residual(fuse_heads(attention, fuse), residual), direction)
    if m is None:
        return s.transpose(1, 2, 0), None
    return slice_prompt(s, query_rows(row, m, s.shape[1]), m)


def main():
    from safetensors.numpy import load_file, save_file

    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("input")
    p.add_argument("output")
    p.add_argument("--m", type=int, help="prompt tokens; without it the whole matrix is written")
    p.add_argument("--row", choices=["predictor", "own"], default="predictor")
    p.add_argument("--direction", choices=["input", "output"], default="input")
    p.add_argument("--fuse", choices=["mean", "max", "min"], default="mean")
    p.add_argument("--residual", type=float, default=0.5)
    a = p.parse_args()
    attention = load_file(a.input)["attention"]
    if attention.ndim not in (3, 4) or attention.shape[-1] != attention.shape[-2]:
        p.error(f"attention has shape {attention.shape}, accepted: [L,H,T,T] or [L,T,T]")
    if a.m is not None and not 0 < a.m < attention.shape[-1]:
        p.error(f"--m {a.m} asked, the text has {attention.shape[-1]} tokens")
    if not 0 <= a.residual <= 1:
        p.error(f"--residual {a.residual} asked, accepted: 0 to 1")
    attribution, outside = attribute(attention, a.m, a.row, a.direction, a.fuse, a.residual)
    tensors = {"attribution": np.ascontiguousarray(attribution)}
    if outside is not None:
        tensors["outside"] = np.ascontiguousarray(outside)
        print(json.dumps(diagnostics(attribution, outside)))
    save_file(tensors, a.output)


if __name__ == "__main__":
    main()
