"""What a model of Hugging Face's code makes of some tokens: attention rows, and the parts of the stream and of logits.

Independent of the library. Attention weights and values are read where Hugging Face's code computes them. Its other
operations on the way to the stream are measured (gates and norms as ratios of output and input) or named by the table
of architectures.
"""

import sys

import numpy as np
import torch
from mixed import carried

ATTENTION = ("self_attn", "attention", "attn", "self_attention", "norm_attn_norm", "mixer")
PROJECTION = ("o_proj", "dense", "out_proj", "c_proj", "wo", "linear_attn_out")
FINAL_NORMS = ("norm", "final_layernorm", "final_layer_norm", "ln_f", "norm_f", "embedding_norm")
FUSED = ("query_key_value", "Wqkv", "c_attn")


def first_of(module, names):
    return next((getattr(module, n) for n in names if getattr(module, n, None) is not None), None)


def layers_of(model):
    found = [(len(n), m) for n, m in model.named_modules() if isinstance(m, torch.nn.ModuleList) and len(m) > 1
             and n.rsplit(".", 1)[-1] in ("layers", "h", "blocks")]
    return min(found, key=lambda f: f[0])[1]


def attention_of(layer):
    """The module that projects the heads' outputs, and that projection; None where a layer has no attention."""
    for name, module in layer.named_modules():
        if name.rsplit(".", 1)[-1] in ATTENTION and first_of(module, PROJECTION) is not None:
            if not hasattr(module, "A_log") and not hasattr(module, "conv"):
                return module, first_of(module, PROJECTION)
    return None


def rotate_pairs(model):
    """Replaces rotary embeddings of the two halves of a head by those of consecutive channels."""
    def rotated(x, cos, sin):
        return x * cos + torch.stack((-x[..., 1::2], x[..., 0::2]), -1).flatten(-2) * sin

    def apply(q, k, cos, sin, unsqueeze_dim=1):
        cos, sin = (a[..., :a.shape[-1] // 2].repeat_interleave(2, -1).unsqueeze(unsqueeze_dim) for a in (cos, sin))
        return rotated(q, cos, sin), rotated(k, cos, sin)
    sys.modules[type(model).__module__].apply_rotary_pos_emb = apply


def slots_of(model, options):
    """The layers in the order in which they are applied; `stacks` are applied in cycles (HRM)."""
    if "stacks" not in options:
        return list(layers_of(model))
    low, high = (list(model.get_submodule(name)) for name in options["stacks"])
    return (low * model.config.L_cycles + high) * model.config.H_cycles


def tap_attention(model, weights):
    """Eager attention that keeps weights and values of each module by its id, of each call."""
    from transformers import AttentionInterface
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, eager_mask

    def tap(module, query, key, value, attention_mask, **kwargs):
        out, w = sys.modules[type(module).__module__].eager_attention_forward(module, query, key, value, attention_mask,
                                                                              **kwargs)
        weights.setdefault(id(module), []).append((w[0].double(), value[0].double()))
        return out, w
    AttentionInterface.register("tap", tap)
    ALL_MASK_ATTENTION_FUNCTIONS.register("tap", eager_mask)
    model.set_attn_implementation("tap")


def fused_values(name, fused, n_heads):
    """Values [H_kv, T, d] out of one projection of queries, keys and values."""
    T = len(fused)
    if name == "bloom":
        return fused.view(T, n_heads, 3, -1)[:, :, 2].transpose(0, 1)
    if name == "mpt":
        return fused.chunk(3, -1)[2].reshape(T, n_heads, -1).transpose(0, 1)
    if name == "falcon":
        return fused.view(T, n_heads + 2, -1)[:, -1:].transpose(0, 1)
    return None


def with_sinks(weights, values, mixed):
    """Weights that sum to what heads [q, H d] show of their values."""
    H, T, _ = weights.shape
    whole = torch.einsum("hqk,hkd->qhd", weights, values.repeat_interleave(H // len(values), 0))
    heads = mixed.view(T, H, -1)
    share = (heads * whole).sum(-1) / (whole * whole).sum(-1)
    return weights * share.T[:, :, None], values


class Watched:
    """One pass of a model, with what its layers saw."""

    def __init__(self, name, model, options, ids):
        self.inputs, self.mixed, self.projected, self.normed, self.fused, self.final = {}, {}, {}, {}, {}, None
        self.weights, self.hooks, calls = {}, [], {}
        self.layers = slots_of(model, options)
        self.attention = {i: a for i, a in enumerate(map(attention_of, self.layers)) if a}
        self.norm = first_of(getattr(model, "model", None) or getattr(model, "transformer", None) or model.base_model,
                             FINAL_NORMS)
        for layer in dict.fromkeys(self.layers):
            self.watch(layer, [i for i, other in enumerate(self.layers) if other is layer], options)
        if self.norm is not None:
            self.hooks.append(self.norm.register_forward_pre_hook(self.keep_final))
        eager = name in ("bloom", "mpt", "falcon")
        if not eager:
            tap_attention(model, calls)
        with torch.no_grad():
            out = model(torch.tensor([ids]), output_attentions=eager, use_cache=False)
        for hook in self.hooks:
            hook.remove()
        self.logits = out.logits[0].double()
        for i, (module, _) in self.attention.items():
            if calls.get(id(module)):
                self.weights[i] = calls[id(module)].pop(0)
            if options.get("sinks_outside"):
                self.weights[i] = with_sinks(*self.weights[i], self.mixed[i])
        if eager:
            for i, a in zip(self.attention, out.attentions):
                w = a[0].double()
                self.weights[i] = (w, fused_values(name, self.fused[i], len(w)))

    def keep_final(self, _, args):
        self.final = args[0][0].double()

    def watch(self, layer, slots, options):
        """Keeps what a layer sees, by slot: the k-th call belongs to its k-th slot."""
        def keep(to, rows, called):
            to[slots[called.setdefault(id(to), -1) + 1]] = rows.double()
            called[id(to)] += 1
        called, at = {}, getattr(layer, options.get("input", ""), layer)
        self.hooks.append(at.register_forward_pre_hook(
            lambda m, args, kwargs: keep(self.inputs, (args[0] if args else kwargs["hidden_states"])[0], called),
            with_kwargs=True))
        if slots[0] not in self.attention:
            return
        module, projection = self.attention[slots[0]]

        def project(_, args, out):
            keep(self.mixed, args[0].reshape(-1, args[0].shape[-1]), called)
            keep(self.projected, out.reshape(-1, out.shape[-1]), called)
        self.hooks.append(projection.register_forward_hook(project))
        fused = first_of(module, FUSED)
        if fused is not None:
            self.hooks.append(fused.register_forward_hook(lambda m, a, out: keep(self.fused, out[0], called)))
        if options.get("post"):
            self.hooks.append(getattr(layer, options["post"]).register_forward_hook(
                lambda m, a, out: keep(self.normed, out[0], called)))


def parts_of(watched, i, options, config):
    """T [q, k, D], what column k adds to row q by this layer's attention, and all that it adds [q, D]."""
    module, projection = watched.attention[i]
    weights, values = watched.weights[i]
    T, H = weights.shape[1], len(weights)
    values = values.repeat_interleave(H // len(values), 0)
    mixed = torch.einsum("hqk,hkd->qkhd", weights, values).reshape(T, T, -1)
    whole = mixed.sum(1)
    if float((whole - watched.mixed[i]).abs().max()) > 1e-3:  # a gate or a norm before the projection
        mixed = mixed * (watched.mixed[i] / whole)[:, None, :]
    with torch.no_grad():
        double = projection.double()
        bias = double(torch.zeros(1, mixed.shape[-1], dtype=torch.double))[0]
        parts = double(mixed.reshape(T * T, -1)).reshape(T, T, -1) - bias
        projection.float()
    added = watched.projected[i]
    if i in watched.normed:
        scale = watched.normed[i] / added
        parts, added = parts * scale[:, None, :], watched.normed[i]
    factor = options.get("factor", 1.0)
    factor = getattr(config, factor) if isinstance(factor, str) else factor
    return (parts * factor).numpy(), (added * factor).numpy()


def directions(watched, model, ids, q):
    """[n, D] by which the final stream of rows q raises the logits of ids above the mean, and these logits' heights."""
    head = model.get_output_embeddings()
    weight = head.weight.double().detach()[:, :]
    bias = getattr(head, "bias", None)
    logits = watched.logits
    cap = getattr(model.config, "final_logit_softcapping", None)
    if cap:
        logits = cap * torch.atanh(logits / cap)
    x = watched.final
    with torch.no_grad():
        norm = watched.norm.double()
        y = norm(x)
        made = y @ weight.T
        linear = logits - (bias.double() if bias is not None else 0)
        centred, of = made - made.mean(-1, keepdim=True), linear - linear.mean(-1, keepdim=True)
        factor = float((centred * of).sum() / (centred * centred).sum())
        off = float((of - factor * centred).abs().max() / of.abs().max())
        if off > 1e-4:
            raise ValueError(f"logits are not {factor} times the output weights of the normed stream: off by {off}")
        out = factor * (weight[ids] - weight.mean(0))
        if isinstance(norm, torch.nn.LayerNorm) or "LayerNorm" in type(norm).__name__ and float(
                (norm(x + 3.0) - y).abs().max()) < 1e-6:  # it takes the mean off
            gain = norm.weight.double() if getattr(norm, "weight", None) is not None else torch.ones(x.shape[-1])
            gain = gain + 1 if "1P" in type(norm).__name__ else gain
            s = (x - x.mean(-1, keepdim=True)).pow(2).mean(-1).add(1e-5).sqrt()[q]
            out = out * gain
            out = (out - out.mean(-1, keepdim=True)) / s[:, None]
        else:
            out = out * (y / x)[q]
        watched.norm.float()
    return out.numpy(), (logits[q] - logits[q].mean(-1, keepdim=True))[torch.arange(len(q)), ids].numpy()


def rollout(rows):
    """R_l of fused rows [L, T, T], one after the other."""
    out, R = [], None
    for a in rows:
        h = (a + np.eye(len(a))) / (1 + a.sum(1, keepdims=True))
        R = h if R is None else h @ R
        out.append(R)
    return out


def matrix(levels, q, m):
    """M [n, m, L] of [T, T] matrices, rows q."""
    return np.stack([level[q, :m] for level in levels], -1)


def balance_of(signal, m, added, embedding, logit):
    """The logit's parts by token [n, m, L], and their sums; `added`: of all that attention adds, biases included."""
    prompt, completion = signal[:, :m].sum((1, 2)), signal[:, m:].sum((1, 2))
    return {"logit": signal[:, :m],
            "balance": np.stack([prompt, completion, added - prompt - completion, embedding, logit], -1)}


def explain(name, model, options, ids, m, wanted):
    """{name: array} of the golden file, for the methods that are wanted."""
    watched = Watched(name, model, options, ids)
    n, q = len(ids) - m, list(range(m - 1, len(ids) - 1))
    order = list(watched.weights)
    rows = np.stack([watched.weights[i][0].mean(0).numpy() for i in order])
    kept = sorted({m // 4, m // 2, 3 * m // 4, *q, len(ids) - 1})
    out = {"rows": rows[:, kept], "rows_kept": np.array(kept, np.int32), "rollout": matrix(rollout(rows), q, m),
           "logprob": watched.logits.log_softmax(-1)[q, ids[m:]].numpy()}
    parts = []
    if "contribution" in wanted or "logit" in wanted:
        parts = [parts_of(watched, i, options, model.config) for i in order]
    if "contribution" in wanted:
        levels = []
        for i, (T, added) in zip(order, parts):
            x, T = watched.inputs[i].numpy(), T.copy()
            y = x + added
            T[range(len(ids)), range(len(ids))] += x
            levels.append(np.einsum("qkd,qd->qk", T, y) / (y ** 2).sum(1)[:, None])
        out["contribution"] = matrix(levels, q, m)
    if "logit" in wanted and "mixed" in options:
        modules = [layer.get_submodule(options["post"]) if "post" in options else watched.attention[i][0]
                   for i, layer in enumerate(watched.layers) if i in watched.attention]
        modules = [name for name, module in model.named_modules() if any(module is m for m in modules)]
        z, embedding, logit = carried(model, modules, options["mixed"], ids, q)
        signal = np.stack([np.einsum("qkd,qd->qk", T[q], at) for at, (T, _) in zip(z, parts)], -1)
        added = sum(np.einsum("qd,qd->q", a[q], at) for at, (_, a) in zip(z, parts))
        out.update(balance_of(signal, m, added, embedding, logit))
    elif "logit" in wanted:
        z, logit = directions(watched, model, ids[m:], q)
        scalars = options.get("scalars") or [1.0] * len(watched.layers)
        reach = np.cumprod(np.array(scalars, float)[::-1])[::-1]
        signal = np.stack([reach[i] * np.einsum("qkd,qd->qk", T[q], z) for i, (T, _) in zip(order, parts)], -1)
        added = sum(reach[i] * np.einsum("qd,qd->q", a[q], z) for i, (_, a) in zip(order, parts))
        embedding = reach[0] * np.einsum("qd,qd->q", watched.inputs[0].numpy()[q], z)
        constant = logit - np.einsum("qd,qd->q", watched.final.numpy()[q], z)  # biases of final norm and output
        out.update(balance_of(signal, m, added + constant, embedding, logit))
    return {k: v if v.dtype == np.int32 else v.astype(np.float32) for k, v in out.items()}
