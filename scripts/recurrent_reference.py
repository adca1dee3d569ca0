#!/usr/bin/env python3
"""Rows of recurrent layers against PyTorch: runs headwater on a GGUF and makes its `contribution` and `logit` again
from the activations of Hugging Face's modules, in double, with the recurrence run forwards on values that are there one
at a time.

    recurrent_reference.py PROGRAM HF_FOLDER MODEL.gguf [GOLDEN.safetensors]

Prints, per layer, how far the reference's own layer output is from the module's (its formulas are then right), and the
NMSE of headwater's numbers against it. With the golden file of a zoo model (make_zoo.py) its prompt and completion are
taken, and the reference is added to it: recurrent.contribution, recurrent.logit [n, m, layers]. By hand: needs
torch and transformers.
"""
import json, os, subprocess, sys, tempfile, warnings
os.environ.setdefault('TRANSFORMERS_VERBOSITY', 'error')
warnings.filterwarnings('ignore')
import numpy as np
import torch
from safetensors import safe_open
from safetensors.numpy import save_file
from transformers import AutoConfig, AutoModelForCausalLM

PROMPT = 'The server keeps runs in a store. Each thread reads a line from the file and returns it. Where is the key?'
COMPLETION = ' The key is in the file of the server'


def nmse(a, b):
    return float(((a - b) ** 2).sum() / max((b ** 2).sum(), 1e-300))


def num(t):
    return t.detach().double().numpy()


def delta_rows(q, k, keep, write):
    """A [H, T, T]; q, k [H, T, S], keep [H, T] or [H, T, S], write [H, T]: forwards, all basis values at once."""
    H, T, S = q.shape
    A = np.zeros((H, T, T))
    for h in range(H):
        state = np.zeros((S, T))  # column j: the state with v = e_j
        for t in range(T):
            state *= keep[h, t] if keep.ndim == 2 else keep[h, t][:, None]
            e = np.zeros(T)
            e[t] = 1
            state += np.outer(k[h, t], (e - k[h, t] @ state) * write[h, t])
            A[h, t] = q[h, t] @ state
    return A


def scan_rows(q, k, keep, write):
    H, T, S = q.shape
    A = np.zeros((H, T, T))
    for h in range(H):
        state = np.zeros((S, T))
        for t in range(T):
            state *= keep[h, t]
            state[:, t] += k[h, t] * write[h, t]
            A[h, t] = q[h, t] @ state
    return A


def conv(x, w, b):
    """Causal convolution of x [T, C] with w [C, 1, K]."""
    w = num(w)[:, 0]
    K = w.shape[1]
    p = np.concatenate([np.zeros((K - 1, x.shape[1])), x])
    y = sum(p[i:i + len(x)] * w[:, i] for i in range(K))
    return y if b is None else y + num(b)


def silu(x):
    return x / (1 + np.exp(-x))


def parts_of(x, w, b, channels=slice(None)):
    """What token k gives to the value of token k + i, [K, T, C]: silu(z)/z of the convolved z held fixed; the bias
    belongs to the value's own token. For the convolution's channels that are values."""
    sigmoid = 1 / (1 + np.exp(-conv(x, w, b)))[:, channels]
    bias = 0 if b is None else num(b)[channels]
    w, x = num(w)[channels, 0], x[:, channels]
    T, K = len(x), w.shape[1]
    parts = np.zeros((K, T, x.shape[1]))
    for i in range(min(K, T)):
        parts[i, :T - i] = sigmoid[i:] * w[:, K - 1 - i] * x[:T - i]
    parts[0] += sigmoid * bias
    return parts


def by_token(rows, parts):
    """What token k gives row t, [T, T, C]: rows [T, T, C] of the values, and their parts."""
    given = np.zeros(rows.shape)
    for i in range(min(len(parts), rows.shape[1])):
        given[:, :rows.shape[1] - i] += rows[:, i:] * parts[i, :rows.shape[1] - i]
    return given


def by_channel(A, d):
    """Rows [T, T, H d] of heads' rows A [H, T, T]."""
    return np.repeat(A.transpose(1, 2, 0), d, 2)


def softplus(x):
    return np.where(x > 20, x, np.log1p(np.exp(np.minimum(x, 20))))


def lin(m, x):
    return x @ num(m.weight).T + (0 if m.bias is None else num(m.bias))


def rms(x, w, eps):
    return x / np.sqrt((x ** 2).mean(-1, keepdims=True) + eps) * w


# Each returns mid [T, T, width], what token j gives row t before the output projection, and that projection.

def delta_net(m, x):
    T = len(x)
    if hasattr(m, 'in_proj_qkvz'):
        q, k, v, z, b, a = m.fix_query_key_value_ordering(
            m.in_proj_qkvz(torch.tensor(x)[None].to(m.in_proj_qkvz.weight.dtype)),
            m.in_proj_ba(torch.tensor(x)[None].to(m.in_proj_ba.weight.dtype)),
        )
        qkv = np.concatenate([num(t[0]).reshape(T, -1) for t in (q, k, v)], 1)
        z, b, a = num(z[0]), num(b[0]), num(a[0])
    else:
        qkv, z, b, a = lin(m.in_proj_qkv, x), lin(m.in_proj_z, x), lin(m.in_proj_b, x), lin(m.in_proj_a, x)
    parts = parts_of(qkv, m.conv1d.weight, m.conv1d.bias, slice(-m.num_v_heads * m.head_v_dim, None))
    qkv = silu(conv(qkv, m.conv1d.weight, m.conv1d.bias))
    S, d, Hk, H = m.head_k_dim, m.head_v_dim, m.num_k_heads, m.num_v_heads
    q, k, v = np.split(qkv, [Hk * S, 2 * Hk * S], 1)
    q, k = (t.reshape(T, Hk, S) for t in (q, k))
    q, k = (t / np.sqrt((t ** 2).sum(-1, keepdims=True) + 1e-6) for t in (q, k))
    q, k = (np.repeat(t, H // Hk, 1).transpose(1, 0, 2) for t in (q, k))
    v, z = v.reshape(T, H, d), z.reshape(T, H, d)
    keep = np.exp(-np.exp(num(m.A_log)) * softplus(a + num(m.dt_bias))).T
    A = delta_rows(q / np.sqrt(S), k, keep, (1 / (1 + np.exp(-b))).T)
    o = np.einsum('htj,jhd->thd', A, v)
    eps = m.norm.variance_epsilon
    factor = num(m.norm.weight) / np.sqrt((o ** 2).mean(-1, keepdims=True) + eps) * silu(z)
    return by_token(by_channel(A, d), parts) * factor.reshape(T, 1, -1), m.out_proj


def kimi_delta(m, x):
    T, H, S, gate = len(x), m.num_heads, m.head_dim, m.forget_gate
    qkv = np.concatenate([lin(p, x) for p in (m.q_proj, m.k_proj, m.v_proj)], 1)
    parts = parts_of(qkv, m.conv1d.weight, m.conv1d.bias, slice(2 * H * S, None))
    q, k, v = (t.reshape(T, H, S) for t in np.split(silu(conv(qkv, m.conv1d.weight, m.conv1d.bias)), 3, 1))
    q, k = ((t / np.sqrt((t ** 2).sum(-1, keepdims=True) + 1e-6)).transpose(1, 0, 2) for t in (q, k))
    g = softplus(lin(gate.f_b_proj, lin(gate.f_a_proj, x)) + num(gate.dt_bias)).reshape(T, H, S)
    keep = np.exp(-np.exp(num(gate.A_log).reshape(H, 1)) * g).transpose(1, 0, 2)
    A = delta_rows(q / np.sqrt(S), k, keep, (1 / (1 + np.exp(-lin(m.b_proj, x)))).T)
    o = np.einsum('htj,jhd->thd', A, v)
    out = 1 / (1 + np.exp(-lin(m.g_b_proj, lin(m.g_a_proj, x)))).reshape(T, H, S)
    factor = num(m.o_norm.weight) / np.sqrt((o ** 2).mean(-1, keepdims=True) + m.layer_norm_epsilon) * out
    return by_token(by_channel(A, S), parts) * factor.reshape(T, 1, -1), m.o_proj


def mamba2(m, x):
    T = len(x)
    x = x * getattr(m, 'ssm_in_multiplier', 1)
    p = lin(m.in_proj, x)
    if hasattr(m, 'mup_vector'):
        p = p * num(m.mup_vector).reshape(-1)
    I, G, N, H, d = m.intermediate_size, m.n_groups, m.ssm_state_size, m.num_heads, m.head_dim
    z, xbc, dt = np.split(p[:, -(2 * I + 2 * G * N + H):], [I, 2 * I + 2 * G * N], 1)
    parts = parts_of(xbc, m.conv1d.weight, m.conv1d.bias, slice(0, I))
    xbc = silu(conv(xbc, m.conv1d.weight, m.conv1d.bias))
    v, B, C = np.split(xbc, [I, I + G * N], 1)
    dt = softplus(dt + num(m.dt_bias))
    B, C = (np.repeat(t.reshape(T, G, N), H // G, 1).transpose(1, 0, 2) for t in (B, C))
    A = scan_rows(C, B, np.exp(dt * -np.exp(num(m.A_log))).T, dt.T)
    i = np.arange(T)
    A[:, i, i] += num(m.D)[:, None]
    mid = by_token(by_channel(A, d), parts)
    factor = silu(z)
    if hasattr(m, 'norm') and getattr(m, 'mamba_rms_norm', True):
        y = (mid.sum(1) * factor).reshape(
            T, G if hasattr(m.norm, 'n_groups') or hasattr(m.norm, 'group_size') else 1, -1
        )
        y = np.ones_like(y) / np.sqrt((y ** 2).mean(-1, keepdims=True) + m.norm.variance_epsilon)
        factor = factor * y.reshape(T, I) * num(m.norm.weight)
    return mid * factor[:, None], m.out_proj


def mamba1(m, x):
    T = len(x)
    p = lin(m.in_proj, x)
    h, z = np.split(p, 2, 1)
    parts = parts_of(h, m.conv1d.weight, m.conv1d.bias)
    h = silu(conv(h, m.conv1d.weight, m.conv1d.bias))
    R, N = m.time_step_rank, m.ssm_state_size
    dt, B, C = np.split(lin(m.x_proj, h), [R, R + N], 1)
    if hasattr(m, 'dt_layernorm'):
        dt, B, C = (rms(t, num(n.weight), n.variance_epsilon)
                    for t, n in ((dt, m.dt_layernorm), (B, m.b_layernorm), (C, m.c_layernorm)))
    dt = softplus(lin(m.dt_proj, dt))
    rate = -np.exp(num(m.A_log))  # [I, N]
    mid = np.zeros((T, T, h.shape[1]))
    state = np.zeros((T, *rate.shape))  # of each token's value alone, if that is 1
    for t in range(T):
        state *= np.exp(dt[t][:, None] * rate)
        state[t] += dt[t][:, None] * B[t]
        mid[t] = state @ C[t]
        mid[t, t] += num(m.D)
    return by_token(mid, parts) * silu(z)[:, None], m.out_proj


def short_conv(m, x):
    T = len(x)
    B, C, h = np.split(lin(m.in_proj, x), 3, 1)
    w, bx = num(m.conv.weight)[:, 0], B * h
    mid = np.zeros((T, T, h.shape[1]))
    for t in range(T):
        for back in range(min(w.shape[1], t + 1)):
            mid[t, t - back] = w[:, -1 - back] * bx[t - back]
    return mid * C[:, None], m.out_proj


KINDS = {
    'GatedDeltaNet': delta_net,
    'ShortConv': short_conv,
    'JambaMambaMixer': mamba1,
    'MambaMixer': mamba1,
    'Mamba2Mixer': mamba2,
    'FalconH1Mixer': mamba2,
    'GraniteMoeHybridMambaLayer': mamba2,
    'NemotronHMamba2Mixer': mamba2,
    'BambaMixer': mamba2,
    'KimiLinearDeltaAttention': kimi_delta,
}


def kind_of(module):
    name = type(module).__name__
    return next((f for k, f in KINDS.items() if name == k or (k in name and k in ('GatedDeltaNet', 'ShortConv'))), None)


def run_headwater(program, gguf, trace, prompt, completion):
    subprocess.run(
        [
            program,
            'explain',
            '-m',
            gguf,
            '-p',
            prompt,
            '--completion',
            completion,
            '--f32-cache',
            '--threads',
            '1',
            '-q',
            '--method',
            'contribution,logit',
            '--trace',
            trace,
        ],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    f = safe_open(trace, 'np')
    run = json.loads(f.metadata()['run'])
    return f, run, f.get_tensor('token_ids').tolist(), json.loads(f.metadata()['balance'])


def add_to_golden(path, contribution, logit):
    """Layers' numbers [n, m] each, as the golden file's own [n, m, layers]."""
    with safe_open(path, 'np') as f:
        arrays, metadata = {name: f.get_tensor(name) for name in f.keys()}, f.metadata()
    for name, layers in (('contribution', contribution), ('logit', logit)):
        arrays[f'recurrent.{name}'] = np.ascontiguousarray(np.stack(layers, 2).astype(np.float32))
    save_file(arrays, path, metadata)


def main():
    program, folder, gguf = sys.argv[1:4]
    golden = sys.argv[4] if len(sys.argv) > 4 else None
    text = safe_open(golden, 'np').metadata() if golden else {'prompt': PROMPT, 'completion': COMPLETION}
    trace = tempfile.mktemp(suffix='.safetensors')
    f, run, ids, balance = run_headwater(program, gguf, trace, text['prompt'], text['completion'])
    found = [], []
    os.unlink(trace)
    m = run['n_prompt']
    T, rows = len(ids), slice(m - 1, len(ids))
    cfg = AutoConfig.from_pretrained(folder)
    how = (
        {'experts_implementation': 'eager'}
        if getattr(cfg, 'num_experts', 0) or getattr(cfg, 'num_local_experts', 0)
        else {}
    )
    model = AutoModelForCausalLM.from_pretrained(folder, config=cfg, dtype=torch.float32, **how).double().eval()
    base = getattr(model, 'model', None) or model.backbone
    blocks = base.layers
    norm = next(getattr(base, n) for n in ('norm', 'final_layernorm', 'embedding_norm', 'norm_f') if hasattr(base, n))
    seen = {}

    def keep_input(key):
        return lambda mod, args, kw: seen.__setitem__(
            key, (args[0] if args else kw['hidden_states'])[0].detach().double().numpy()
        )

    def keep_output(key):
        return lambda mod, args, out: seen.__setitem__(
            key, (out[0] if isinstance(out, tuple) else out)[0].detach().double().numpy()
        )

    for i, block in enumerate(blocks):
        block.register_forward_pre_hook(keep_input(('x', i)), with_kwargs=True)
        for mod in block.modules():
            if kind_of(mod):
                seen['mixer', i] = mod
                mod.register_forward_pre_hook(keep_input(('in', i)), with_kwargs=True)
                mod.register_forward_hook(keep_output(('out', i)))
    norm.register_forward_pre_hook(keep_input('final'), with_kwargs=True)
    with torch.no_grad():
        logits = num(model(torch.tensor([ids]), use_cache=False).logits[0])
        final = seen['final']
        normed = num(norm(torch.tensor(final)))
    W = num(model.get_output_embeddings().weight)
    scale = (
        1 / getattr(cfg, 'logits_scaling', 1)
        if getattr(cfg, 'logits_scaling', None)
        else getattr(cfg, 'lm_head_multiplier', 1)
    )
    ratio = normed / final * scale
    after = getattr(cfg, 'ssm_out_multiplier', 1) * getattr(cfg, 'residual_multiplier', 1)
    projection, logit = f.get_tensor('signal.projection'), f.get_tensor('signal.logit')
    sources = run['model'].get('sources') or []
    print(
        'engine logits - torch',
        max(
            abs(balance[i]['logit'] - (logits[m - 1 + i][ids[m + i]] - logits[m - 1 + i].mean())) for i in range(T - m)
        ),
    )
    for s, source in enumerate(sources):
        i = source['block']
        if source['layer'] >= 0 or ('mixer', i) not in seen:
            continue
        mid, out_proj = kind_of(seen['mixer', i])(seen['mixer', i], seen['in', i])
        vectors = mid @ num(out_proj.weight).T
        own = nmse(vectors.sum(1) + (0 if out_proj.bias is None else num(out_proj.bias)), seen['out', i])
        vectors, x, a = vectors * after, seen['x', i], seen['out', i] * after
        y = x + a
        k = np.arange(T)
        with_x = vectors.copy()
        with_x[k, k] += x
        want = np.einsum('tjd,td->tj', with_x, y) / (y ** 2).sum(1)[:, None]
        z = np.stack([(W[ids[t + 1]] - W.mean(0)) * ratio[t] for t in range(m - 1, T - 1)])
        want_logit = np.einsum('tjd,td->tj', vectors[m - 1:T - 1], z)
        print(
            f"block {i} {source['kind']}: reference's output {own:.1e}, "
            f"contribution {nmse(projection[s], want[rows]):.1e}, "
            f"logit {nmse(logit[s][:T - m], want_logit):.1e}"
        )
        found[0].append(want[m - 1:T - 1, :m])
        found[1].append(want_logit[:, :m])
    if golden:
        add_to_golden(golden, *found)
    parts = ('prompt', 'completion', 'bias', 'mlp', 'embedding')
    print('balance closes within', max(abs(sum(b[p] for p in parts) - b['logit']) for b in balance[:T - m]))


main()
