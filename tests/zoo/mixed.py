"""How a model that mixes its stream carries the direction of a logit back to what each attention added.

By automatic differentiation, independent of the library. What a model's code computes by functions that are not linear
(the scale of a norm, the weights of a mixture) is taken as the number that it was in the pass, and so is the output of
modules that are listed as constant. What remains is linear in what attention added and in the embedding.
"""

import copy

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

FROZEN = {"pow", "__pow__", "rsqrt", "sqrt", "sigmoid", "tanh", "softmax", "exp", "softplus", "silu", "gelu", "relu",
          "norm", "topk"}


class Frozen(TorchFunctionMode):
    """Results of functions that are not linear become constants."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        name = getattr(func, "__name__", "")
        return out.detach() if name in FROZEN and isinstance(out, torch.Tensor) else out


def first(out):
    return out[0] if isinstance(out, tuple) else out


def replaced(out, new):
    return (new, *out[1:]) if isinstance(out, tuple) else new


def as_leaf(leaves, _, args, out):
    leaf = first(out).detach().requires_grad_(True)
    leaves.append(leaf)
    return replaced(out, leaf)


def as_constant(_, args, out):
    return replaced(out, first(out).detach())


def carried(model, attention, constant, ids, q):
    """[L, n, D] directions of rows q at the outputs of modules `attention`, in the order in which they are called, the
    embedding's part of the next tokens' logits [n], and these logits above the mean [n], before a soft cap.

    constant: ends of names of modules."""
    model = copy.deepcopy(model)
    if getattr(model.config, "final_logit_softcapping", None):
        model.config.__dict__["final_logit_softcapping"] = None  # the configuration checks types
    leaves, embeddings = [], []
    for module in attention:
        module = dict(model.named_modules())[module]
        module.register_forward_hook(lambda *a: as_leaf(leaves, *a))
    model.get_input_embeddings().register_forward_hook(lambda *a: as_leaf(embeddings, *a))
    for name, module in model.named_modules():
        if name.endswith(tuple(constant)):
            module.register_forward_hook(as_constant)
    with Frozen():
        logits = model(torch.tensor([ids]), use_cache=False).logits[0]
    heights = [logits[row, ids[row + 1]] - logits[row].mean() for row in q]
    z, embedding = [], []
    for row, height in zip(q, heights):
        *at, first_at = torch.autograd.grad(height, [*leaves, embeddings[0]], retain_graph=True)
        z.append(torch.stack([g[0, row].double() for g in at]))
        embedding.append(float(first_at[0, row].double() @ embeddings[0][0, row].double()))
    return torch.stack(z, 1).numpy(), np.array(embedding), np.array([float(h) for h in heights])
