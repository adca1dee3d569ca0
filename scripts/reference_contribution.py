"""What attention carries from each token, in PyTorch float64: the reference for Headwater's tests.

Kobayashi 2020/21 (norm), Ferrando 2022 (ALTI: proximity), Ferrando & Voita 2024 (information-flow
routes). Runs a transformers model (Llama or Gemma 3 classes, batch of one) and reads its
modules with hooks:

    f_l[h,k]  = v_l[h,k] W_l[h]                 the value of head h as it arrives in the stream [D]
    T_l[q,k]  = Σ_h A_l[h,q,k] f_l[h,k]         the part of the attention's output that came from k
    y_l[q]    = x_l[q] + Σ_k T_l[q,k] + b_l[q]  the stream after attention; b is the output's bias

Where a norm follows the block (Gemma), its scale at q is frozen and applied to T and b, so that y
stays their sum.

    norm        ‖T‖_2, rows made to sum to 1                                  without x
    proximity   max(0, ‖y‖_p - ‖y - T‖_p), rows made to sum to 1              T + x if k = q
    projection  <T, y> / ‖y‖²: sums to 1 - <b,y>/‖y‖² over k, signed          T + x if k = q
    logit       <T ⊙ g / rms, w_t - w̄>: direct effect on the logit of token t  without x

g and rms are the final norm's weight and the root mean square of the final stream at q, w_t the row
of the output embedding and w̄ its mean. Shapes: T tokens = m prompt + n completion, R rows,
L layers, H heads of size d, K key-value heads, D hidden size, V vocabulary.
"""

from dataclasses import dataclass, field

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import eager_mask

# --- transformers, wholly in float64 --------------------------------------------------------------
# The library computes the softmax, the norms and the rotation in float32 whatever the model's type.


def eager_attention(module, query, key, value, attention_mask, scaling=None, **_):
    """softmax(QKᵀ·scaling + mask) V [1,T,H,d] and A [1,H,T,T]; key and value are [1,K,T,d]."""
    groups = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
    weights = torch.softmax(query @ key.transpose(2, 3) * scaling + attention_mask, -1)
    return (weights @ value).transpose(1, 2).contiguous(), weights


AttentionInterface.register("eager_float64", eager_attention)
AttentionMaskInterface.register("eager_float64", eager_mask)


def norm_weight(norm):
    """g [D]: Gemma stores it minus one."""
    return norm.weight + 1 if type(norm).__name__.startswith("Gemma") else norm.weight


def norm_scale(norm, x):
    """g / rms(x) [..., D], so that norm(x) = x ⊙ norm_scale(norm, x)."""
    eps = norm.eps if hasattr(norm, "eps") else norm.variance_epsilon
    return norm_weight(norm) * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps)


def rotation(config, position_ids, layer_type=None):
    """cos and sin [1,T,d] of the angles position · θ^(-2i/d)."""
    rope = config.rope_parameters[layer_type] if layer_type else config.rope_parameters
    d = config.head_dim
    frequencies = rope["rope_theta"] ** (-torch.arange(0, d, 2, dtype=torch.float64) / d)
    angles = position_ids[..., None] * frequencies
    angles = torch.cat((angles, angles), -1)
    return angles.cos(), angles.sin()


def to_float64(model):
    """A model of attn_implementation="eager_float64", without the parts that compute in float32."""
    model.double().eval()
    for module in model.modules():
        if type(module).__name__.endswith("RMSNorm"):
            module.forward = lambda x, norm=module: x * norm_scale(norm, x)
    model.model.rotary_emb.forward = lambda x, position_ids, layer_type=None: rotation(
        model.config, position_ids, layer_type
    )
    return model


# --- one pass, recorded ---------------------------------------------------------------------------


@dataclass
class Layer:
    x: torch.Tensor = None  # [T,D] the stream before attention
    y: torch.Tensor = None  # [T,D] the stream after attention
    out: torch.Tensor = None  # [T,D] the stream after the MLP
    attention: torch.Tensor = None  # [H,T,T]
    values: torch.Tensor = None  # [T,K,d]
    w_o: torch.Tensor = None  # [D,H,d]
    b_o: torch.Tensor = None  # [D], zero where the model has none
    post_scale: torch.Tensor = None  # [T,D] the frozen scale of the norm after attention, or 1


@dataclass
class Record:
    ids: torch.Tensor  # [T]
    logits: torch.Tensor = None  # [T,V]
    final_scale: torch.Tensor = None  # [T,D] g / rms of the final norm
    w_out: torch.Tensor = None  # [V,D]
    layers: list[Layer] = field(default_factory=list)

    @property
    def attention(self):
        """[L,H,T,T]"""
        return torch.stack([layer.attention for layer in self.layers])

    def logprobs(self, m):
        """log p of the completion tokens [n], natural."""
        rows = torch.log_softmax(self.logits[m - 1 : -1], -1)
        return rows.gather(1, self.ids[m:, None])[:, 0]


def hook_layer(module, layer, head_dim):
    """Hooks that fill `layer` from one decoder layer; returns their handles."""
    attn = module.self_attn
    post_norm = hasattr(module, "pre_feedforward_layernorm")  # Gemma: norms around each block
    before_mlp = module.pre_feedforward_layernorm if post_norm else module.post_attention_layernorm
    n_hidden = attn.o_proj.weight.shape[0]
    layer.w_o = attn.o_proj.weight.reshape(n_hidden, -1, head_dim)
    layer.b_o = attn.o_proj.bias if attn.o_proj.bias is not None else layer.w_o.new_zeros(n_hidden)
    layer.post_scale = layer.w_o.new_ones(1, n_hidden)

    def keep(name, tensor):
        setattr(layer, name, tensor[0])

    def keep_post_scale(norm, args):
        keep("post_scale", norm_scale(norm, args[0]))

    handles = [
        module.input_layernorm.register_forward_pre_hook(lambda _, args: keep("x", args[0])),
        attn.v_proj.register_forward_hook(
            lambda _, __, v: keep("values", v.unflatten(-1, (-1, head_dim)))
        ),
        attn.register_forward_hook(lambda _, __, output: keep("attention", output[1])),
        before_mlp.register_forward_pre_hook(lambda _, args: keep("y", args[0])),
        module.register_forward_hook(lambda _, __, out: keep("out", out)),
    ]
    if post_norm:
        handles.append(module.post_attention_layernorm.register_forward_pre_hook(keep_post_scale))
    return handles


@torch.no_grad()
def record(model, ids):
    """One pass over ids [T] -> Record; checks that T, x and the bias add up to y in every layer."""
    rec = Record(torch.tensor(ids), w_out=model.lm_head.weight)
    handles = []
    for module in model.model.layers:
        rec.layers.append(Layer())
        handles += hook_layer(module, rec.layers[-1], model.config.head_dim)
    rec.logits = model(input_ids=rec.ids[None], use_cache=False).logits[0]
    for handle in handles:
        handle.remove()
    rec.final_scale = norm_scale(model.model.norm, rec.layers[-1].out)
    everything = torch.arange(len(ids))
    for layer in rec.layers:
        total = layer.x + contribution_vectors(layer, everything).sum(1) + bias(layer, everything)
        assert (total - layer.y).norm() <= 1e-12 * layer.y.norm()
    return rec


# --- the methods, for the rows of interest --------------------------------------------------------


def contribution_vectors(layer, rows):
    """T_l[q,k] = Σ_h A[h,q,k] f[h,k], without x [R,T,D]."""
    groups = layer.attention.shape[0] // layer.values.shape[1]
    values = layer.values.repeat_interleave(groups, 1)  # [T,H,d]
    f = torch.einsum("khd,ohd->hko", values, layer.w_o)  # [H,T,D]
    summed = torch.einsum("hqk,hko->qko", layer.attention[:, rows], f)
    return summed * layer.post_scale.expand_as(layer.x)[rows, None, :]


def bias(layer, rows):
    """b_l[q] [R,D]"""
    return layer.b_o * layer.post_scale.expand_as(layer.x)[rows]


def normalise_rows(c):
    """c [R,T] with rows that sum to 1; an empty row stays empty."""
    total = c.sum(-1, keepdim=True)
    return torch.where(total > 0, c / total, 0.0)


def norm(t, t_with_x, y):
    return normalise_rows(t.norm(dim=-1))


def proximity(p):
    def method(t, t_with_x, y):
        distance = (y[:, None] - t_with_x).norm(p=p, dim=-1)
        return normalise_rows((y.norm(p=p, dim=-1, keepdim=True) - distance).clamp(min=0))

    return method


def projection(t, t_with_x, y):
    return torch.einsum("qkd,qd->qk", t_with_x, y) / y.pow(2).sum(-1, keepdim=True)


METHODS = {
    "projection": projection,
    "proximity1": proximity(1),
    "proximity2": proximity(2),
    "norm": norm,
}


@torch.no_grad()
def contributions(rec, rows):
    """Each method's shares C [R,T,L] and bias_share [R,L] = <b,y>/‖y‖², at the positions rows."""
    shares, bias_shares = {name: [] for name in METHODS}, []
    for layer in rec.layers:
        t, y = contribution_vectors(layer, rows), layer.y[rows]
        t_with_x = t.clone()
        t_with_x[torch.arange(len(rows)), rows] += layer.x[rows]
        for name, method in METHODS.items():
            shares[name].append(method(t, t_with_x, y))
        bias_shares.append((bias(layer, rows) * y).sum(-1) / y.pow(2).sum(-1))
    shares = {name: torch.stack(c, -1) for name, c in shares.items()}
    bias_share = torch.stack(bias_shares, -1)
    assert (shares["projection"].sum(1) - (1 - bias_share)).abs().max() < 1e-12
    return shares, bias_share


BALANCE = ["prompt", "completion", "mlp", "embedding", "bias", "logit_minus_mean"]


@torch.no_grad()
def logit_effects(rec, m):
    """Direct effects on the logit of each completion token, at its predictor row: C [n,T,L].

    With the balance sheet [n,6] (BALANCE) of all that is added to the stream at q = m-1+i, seen
    through the frozen final norm: the first five entries sum to the sixth.
    """
    rows = torch.arange(m - 1, len(rec.ids) - 1)
    targets = rec.ids[m:]
    direction = (rec.w_out[targets] - rec.w_out.mean(0)) * rec.final_scale[rows]  # [n,D]

    def effect(added):  # [n,D] or [n,T,D] -> [n] or [n,T]
        return torch.einsum("q...d,qd->q...", added, direction)

    effects = torch.stack([effect(contribution_vectors(x, rows)) for x in rec.layers], -1)
    balance = [
        effects[:, :m].sum((1, 2)),
        effects[:, m:].sum((1, 2)),
        sum(effect((layer.out - layer.y)[rows]) for layer in rec.layers),
        effect(rec.layers[0].x[rows]),
        sum(effect(bias(layer, rows)) for layer in rec.layers),
        rec.logits[rows, targets] - rec.logits[rows].mean(-1),
    ]
    balance = torch.stack(balance, -1)
    assert (balance[:, :5].sum(-1) - balance[:, 5]).abs().max() < 1e-9
    return effects, balance
