/* top_tokens.c - one pass for the best few tokens, one for the normaliser; both over the whole vocabulary for every
 * token. */
#include "capture/top_tokens.h"

#include "math/simd.h"

#include <math.h>
#include <string.h>

/* Inserts (id, value) into a falling list of `n` with space for `capacity`; ties keep the earlier id first. */
static int insert(int32_t *ids, float *values, int n, int capacity, int32_t id, float value) {
    int at = n < capacity ? n : capacity - 1;
    if (n == capacity && value <= values[capacity - 1]) return n;
    for (; at > 0 && values[at - 1] < value; at--) {
        values[at] = values[at - 1];
        ids[at] = ids[at - 1];
    }
    values[at] = value;
    ids[at] = id;
    return n < capacity ? n + 1 : capacity;
}

/* ------------------------------------------------------------------ over a whole vocabulary */

enum { BLOCK = 512, SUM_BLOCK = 1024 };

/* The largest of x [n], ignoring NaN. */
HW__SIMD static float largest(const float *x, size_t n) {
    hw__lanes v, top;
    size_t i = 0;
    float best = x[0];
    if (n >= HW__LANES) HW__LOAD(top, x);
    for (; i + HW__LANES <= n; i += HW__LANES) {
        HW__LOAD(v, x + i);
        top = HW__CHOOSE(v > top, v, top);
    }
    for (size_t k = 0; k < HW__LANES && i; k++) best = top[k] > best ? top[k] : best;
    for (; i < n; i++) best = x[i] > best ? x[i] : best;
    return best;
}

/* e^x per lane for x <= 0 (NaN stays NaN), with error below 2e-7: e^x = 2^r e^f with integer r and |f| <= ln 2 / 2. */
HW__INLINE void exponential(hw__lanes *x) {
    static const float LOWEST = -87, TO_WHOLE = 12582912.0f; /* e^-87 is a normal float; adding 1.5 * 2^23 removes
                                                                the fraction */
    hw__lanes lowest = {0}, v = *x;
    lowest += LOWEST;
    v = HW__CHOOSE(v < lowest, lowest, v);
    hw__lanes r = v * 1.44269504f + TO_WHOLE - TO_WHOLE;
    hw__lanes f = v - r * 0.693359375f + r * 2.12194440e-4f; /* ln 2 in two parts, the first with few digits */
    hw__lanes p = f * (1.0f / 5040) + 1.0f / 720;
    p = p * f + 1.0f / 120;
    p = p * f + 1.0f / 24;
    p = p * f + 1.0f / 6;
    p = p * f + 0.5f;
    p = p * f + 1.0f;
    p = p * f + 1.0f;
    hw__lane_bits scale = (__builtin_convertvector(r, hw__lane_bits) + 127) << 23;
    *x = p * (hw__lanes)scale;
}

/* The sum of e^(x - top) over x [n]: in float within a block, in double over blocks. */
HW__SIMD static double sum_exponentials(const float *x, size_t n, float top) {
    double sum = 0;
    size_t i = 0;
    while (i + HW__LANES <= n) {
        hw__lanes v, sums = {0};
        for (size_t end = i + SUM_BLOCK; i < end && i + HW__LANES <= n; i += HW__LANES) {
            HW__LOAD(v, x + i);
            v -= top;
            exponential(&v);
            sums += v;
        }
        sum += hw__sum_lanes(&sums);
    }
    for (; i < n; i++) sum += expf(x[i] - top);
    return sum;
}

/* The best few of logits [n]; blocks that contain none of them are skipped. Returns how many. */
static int find_best(int32_t *ids, float *values, int capacity, const float *logits, size_t n) {
    int found = 0;
    for (size_t first = 0; first < n; first += BLOCK) {
        size_t take = n - first < BLOCK ? n - first : BLOCK;
        float top = largest(logits + first, take);
        if (found == capacity && top <= values[capacity - 1]) continue;
        for (size_t i = first; i < first + take; i++)
            found = insert(ids, values, found, capacity, (int32_t)i, logits[i]);
    }
    return found;
}

int hw__log_softmax(float *logprob, hw__best best, const float *logits, size_t n, int32_t id) {
    int found = find_best(best.ids, best.logprobs, best.capacity, logits, n);
    if (found <= 0 || isinf(best.logprobs[0])) return -1;
    double norm = best.logprobs[0] + log(sum_exponentials(logits, n, best.logprobs[0]));
    if (isnan(norm)) return -1;
    for (int i = 0; i < found; i++) best.logprobs[i] = (float)(best.logprobs[i] - norm);
    *logprob = (float)(logits[id] - norm);
    return found;
}

hw_err hw__top_tokens_read(hw__top_tokens *c, hw_token *token, hw__engine *engine, size_t row, hw_error *err) {
    const float *logits = engine->ops->logits(engine, row);
    const hw_model_info *info = engine->ops->describe(engine);
    if (!logits) return hw__fail(err, HW_ERR_ENGINE, "row %zu of the last decode has no logits", row);
    if (token->id < 0 || token->id >= info->n_vocab)
        return hw__fail(err, HW_ERR_ARGUMENT, "token id %d: the vocabulary has 0..%d", token->id, info->n_vocab - 1);
    int32_t ids[HW_N_ALTERNATIVES];
    float logprobs[HW_N_ALTERNATIVES];
    int n = hw__log_softmax(&token->logprob, (hw__best){ids, logprobs, HW_N_ALTERNATIVES}, logits,
                            (size_t)info->n_vocab, token->id);
    if (n < 0) return hw__fail(err, HW_ERR_ENGINE, "the model's logits for token %d are not numbers", token->id);
    for (int i = 0; i < n; i++) {
        hw_err rc = engine->ops->piece(engine, &c->pieces[i], ids[i], err);
        if (rc != HW_OK) return rc;
        c->list[i] = (hw_alternative){
            .bytes = c->pieces[i].bytes, .n_bytes = c->pieces[i].n_bytes, .id = ids[i], .logprob = logprobs[i]};
    }
    token->n_alternatives = n;
    token->alternatives = c->list;
    return HW_OK;
}

int hw__likeliest_others(hw__contrast *out, int n_max, const float *logits, size_t n, int32_t id) {
    float values[HW__MAX_OTHERS + 1];
    int32_t best[HW__MAX_OTHERS + 1];
    int found = find_best(best, values, n_max + 1, logits, n), kept = 0;
    if (found <= 0 || !isfinite(values[0])) return -1;
    size_t after = (size_t)id + 1;
    double rest = sum_exponentials(logits, (size_t)id, values[0]) + /* apart: beside 1 they would be rounded away */
                  sum_exponentials(logits + after, n - after, values[0]);
    double norm = rest + exp((double)logits[id] - values[0]);
    if (!(norm > 0)) return -1; /* NaN */
    for (int i = 0; i < found && kept < n_max; i++) {
        if (best[i] == id) continue;
        out->ids[kept] = best[i];
        out->weights[kept++] = exp((double)values[i] - values[0]) / norm;
    }
    out->own = rest / norm;
    return kept;
}

/* The logit before a soft cap; where the cap leaves nothing of a difference, as far as floats tell. */
static double before_cap(double logit, double cap) {
    const double max = 1 - 0x1p-24;
    double share = logit / cap;
    return cap * atanh(share > max ? max : share < -max ? -max : share);
}

static double logit_of(const hw__engine *engine, const float *logits, int32_t id) {
    return engine->logit_cap > 0 ? before_cap(logits[id], engine->logit_cap) : logits[id];
}

static double sum_logits(const hw__engine *engine, const float *logits, size_t n) {
    if (!(engine->logit_cap > 0)) return hw__sum(logits, n);
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += before_cap(logits[i], engine->logit_cap);
    return sum;
}

static double mean_logit(const hw__engine *engine, const float *logits, size_t n) {
    size_t first = engine->n_masked ? engine->mask_first : n, after = first + engine->n_masked;
    double sum = sum_logits(engine, logits, first) + sum_logits(engine, logits + after, n - after);
    return sum / (double)(n - engine->n_masked);
}

double hw__contrasted_logit(hw__engine *engine, size_t row, int32_t id, const hw__contrast *c) {
    const float *logits = engine->ops->logits(engine, row);
    double weight = c->own, sum = c->own * logit_of(engine, logits, id); /* weight: what the mean counts for */
    for (size_t i = 0; i < c->n; i++) {
        weight -= c->weights[i];
        sum -= c->weights[i] * logit_of(engine, logits, c->ids[i]);
    }
    if (weight == 0) return sum;
    return sum - weight * mean_logit(engine, logits, (size_t)engine->ops->describe(engine)->n_vocab);
}
