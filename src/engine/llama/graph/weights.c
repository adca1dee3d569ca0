/*
 * weights.c - values and weights of a layer, and from the final stream to the logits, for signals.
 *
 * Values are read from the cache. Weights are read from the GGUF file, because loaded ones may be repacked for the CPU
 * or on a device.
 */
#include "engine/llama/graph/llama_engine.h"
#include "math/blas.h"
#include "math/simd.h"

#include <stdlib.h>
#include <string.h>

/* The values in the cache: the graph may copy them before the product, and the memory of the copy is reused. */
const struct ggml_tensor *hw__llama_cached_values(const struct ggml_tensor *t) {
    return t && t->op == GGML_OP_CONT ? t->src[0] : t;
}

/* out [n] <- floats of a row of the cache, elements `step` bytes apart. */
static void read_row(float *out, const unsigned char *raw, size_t n, enum ggml_type type, size_t step) {
    const struct ggml_type_traits *traits = ggml_get_type_traits(type);
    bool dense = step == ggml_type_size(type);
    if (type == GGML_TYPE_F32 && dense) {
        memcpy(out, raw, n * sizeof *out);
    } else if (type == GGML_TYPE_F16 && dense) { /* the cache's default type */
        hw__floats_of_halves(out, (const uint16_t *)(const void *)raw, n);
    } else if (dense) {
        traits->to_float(raw, out, (int64_t)n);
    } else if (type == GGML_TYPE_F32) {
        for (size_t k = 0; k < n; k++) memcpy(out + k, raw + k * step, sizeof *out);
    } else {
        for (size_t k = 0; k < n; k++) traits->to_float(raw + k * step, out + k, 1);
    }
}

/* out [H_kv, d, n] <- values of the first n tokens, from the cache view [keys, d, H_kv]; from a device in one read,
 * because each read may cross a network. */
static hw_err read_cache(hw__llama_engine *e, float *out, const struct ggml_tensor *t, size_t n, hw_error *err) {
    size_t d = (size_t)t->ne[1], n_kv = (size_t)t->ne[2];
    const unsigned char *plane = hw__device_read_bytes(e->device_read, t);
    if (!plane) return hw__fail_memory(err, "the values of a layer", n_kv * d, n * sizeof(float));
    for (size_t r = 0; r < n_kv * d; r++)
        read_row(out + r * n, plane + r / d * t->nb[2] + r % d * t->nb[1], n, t->type, t->nb[0]);
    return HW_OK;
}

/* Values of heads [H, d, n] from latent ones [1, latent, n]: v[h] = W[h] c. */
static hw_err decompress(hw__llama_engine *e, hw__values *out, const hw__layer_graph *g, size_t latent, hw_error *err) {
    size_t H = (size_t)g->n_heads, d = (size_t)g->decompressed, n = e->n_done;
    if (!hw__reserve_floats(&out->v, &out->v_capacity, H * d * n))
        return hw__fail_memory(err, "the values of a layer", H * d, n);
    float *weights = hw__alloc(H * d, latent * sizeof *weights);
    if (!weights) return hw__fail_memory(err, g->decompress, H * d, latent * sizeof *weights);
    hw_err rc = hw__blas_start(err);
    if (rc == HW_OK) rc = hw__gguf_rows(e->file, weights, (hw__gguf_part){g->decompress, 0, H * d, latent}, err);
    if (rc == HW_OK) hw__matmul(out->v, weights, out->scratch, H * d, latent, n);
    free(weights);
    out->n_heads_kv = H;
    out->head_size = d;
    return rc;
}

/* Values of the tokens so far, [H_kv, d, n_done]. */
static hw_err read_values(hw__llama_engine *e, hw__values *out, const hw__layer_graph *g, hw_error *err) {
    const struct ggml_tensor *t = hw__llama_cached_values(g->values);
    size_t d = (size_t)t->ne[1], n_kv = (size_t)t->ne[2], n = e->n_done;
    bool latent = g->decompress[0] != 0;
    if (n > (size_t)t->ne[0])
        return hw__fail(err, HW_ERR_UNSUPPORTED, "values of %zu tokens are in the cache, of %zu", (size_t)t->ne[0], n);
    if (latent ? !hw__reserve_floats(&out->scratch, &out->n_scratch, n_kv * d * n)
               : !hw__reserve_floats(&out->v, &out->v_capacity, n_kv * d * n))
        return hw__fail_memory(err, "the values of a layer", n_kv * d, n * sizeof(float));
    out->n_heads_kv = n_kv;
    out->head_size = d;
    out->n_tokens = n;
    hw_err rc = read_cache(e, latent ? out->scratch : out->v, t, n, err);
    return rc == HW_OK && latent ? decompress(e, out, g, d, err) : rc;
}

/* out [n] <- floats of an adapter's weight. */
static hw_err read_adapter(float **out, const struct ggml_tensor *t, hw_error *err) {
    size_t n = (size_t)ggml_nelements(t);
    const struct ggml_type_traits *traits = ggml_get_type_traits(t->type);
    void *raw = hw__alloc(ggml_nbytes(t), 1);
    *out = hw__alloc(n, sizeof **out);
    hw_err rc = HW_OK;
    if (!raw || !*out) {
        rc = hw__fail_memory(err, t->name, n, sizeof **out);
    } else if (t->type != GGML_TYPE_F32 && !traits->to_float) {
        rc = hw__fail(err, HW_ERR_UNSUPPORTED, "adapter %s: type %s cannot be read", t->name, traits->type_name);
    } else {
        ggml_backend_tensor_get(t, raw, 0, ggml_nbytes(t));
        if (t->type == GGML_TYPE_F32) {
            memcpy(*out, raw, n * sizeof **out);
        } else {
            traits->to_float(raw, *out, (int64_t)n);
        }
    }
    free(raw);
    return rc;
}

/* wo [n, width] += factor * B A, for the given channels. */
static hw_err add_adapter(float *wo, const hw__lora *l, const size_t *channels, size_t n, size_t width, hw_error *err) {
    float *a = NULL, *b = NULL;
    size_t rank = (size_t)l->a->ne[1];
    hw_err rc = (size_t)l->a->ne[0] == width && (size_t)l->b->ne[0] == rank
                    ? read_adapter(&a, l->a, err)
                    : hw__fail(err, HW_ERR_UNSUPPORTED, "adapter %s has another shape", l->a->name);
    if (rc == HW_OK) rc = read_adapter(&b, l->b, err);
    for (size_t i = 0; rc == HW_OK && i < n; i++) {
        const float *row = b + (channels ? channels[i] : i) * rank;
        for (size_t r = 0; r < rank; r++)
            for (size_t c = 0; c < width; c++) wo[i * width + c] += l->factor * row[r] * a[r * width + c];
    }
    free(a);
    free(b);
    return rc;
}

HW__SIMD static void multiply(float *restrict to, const float *restrict by, size_t n) {
    for (size_t i = 0; i < n; i++) to[i] *= by[i];
}

/* out->wo <- the output projection of channels [n], or of all D if they are NULL, with adapters and the gain before
 * it. */
static hw_err read_projection(hw__llama_engine *e, hw__values *out, const hw__layer_graph *g, const size_t *channels,
                              size_t n, hw_error *err) {
    size_t width = out->n_heads * out->head_size;
    if ((size_t)g->wo_width != width)
        return hw__fail(err, HW_ERR_UNSUPPORTED, "%s has rows of %zu, %zu heads of %zu are projected", g->wo,
                        (size_t)g->wo_width, out->n_heads, out->head_size);
    if (!hw__reserve_floats(&out->wo, &out->wo_capacity, n * width))
        return hw__fail_memory(err, g->wo, n, width * sizeof(float));
    hw_err rc = HW_OK;
    for (size_t i = 0; channels && rc == HW_OK && i < n; i++)
        rc = hw__gguf_rows(e->file, out->wo + i * width, (hw__gguf_part){g->wo, channels[i], 1, width}, err);
    if (!channels) rc = hw__gguf_rows(e->file, out->wo, (hw__gguf_part){g->wo, 0, n, width}, err);
    for (size_t i = 0; rc == HW_OK && i < g->n_lora; i++)
        rc = add_adapter(out->wo, &g->lora[i], channels, n, width, err);
    if (rc != HW_OK || !g->sub_gain[0]) return rc;
    size_t n_gain = (size_t)g->n_sub_gain;
    float *gain = hw__alloc(n_gain, sizeof *gain);
    if (!gain || width % n_gain) {
        free(gain);
        return gain ? hw__fail(err, HW_ERR_UNSUPPORTED, "%s has %zu gains", g->sub_gain, n_gain)
                    : hw__fail_memory(err, g->sub_gain, n_gain, sizeof *gain);
    }
    rc = hw__gguf_rows(e->file, gain, (hw__gguf_part){g->sub_gain, 0, 1, n_gain}, err);
    for (size_t i = 0; rc == HW_OK && i < n * width; i += n_gain) multiply(out->wo + i, gain, n_gain);
    free(gain);
    return rc;
}

void hw__values_clear(hw__values *values) {
    free(values->v);
    free(values->wo);
    free(values->gain_storage);
    free(values->scratch);
    free(values->kept);
    free(values->kept_double);
    *values = (hw__values){0};
}

/* Values of attention; heads share them. */
static hw_err attention_values(hw__llama_engine *e, hw__values *out, const hw__layer_graph *g, hw_error *err) {
    const struct ggml_tensor *t = hw__llama_cached_values(g->values);
    if (!t || t->ne[2] < 1 || g->n_heads % t->ne[2])
        return hw__fail(err, HW_ERR_UNSUPPORTED, "%d heads do not share its values evenly", g->n_heads);
    out->recurrent = NULL;
    out->n_taps = 1;
    out->n_heads = (size_t)g->n_heads;
    return read_values(e, out, g, err);
}

hw_err hw__llama_layer_values(hw__llama_engine *e, hw__values *out, size_t source, const size_t *channels,
                              size_t n_channels, hw_error *err) {
    const hw__layer_graph *g = &e->graphs[source];
    size_t D = (size_t)e->info.n_embd;
    bool attention = e->sources[source].layer >= 0;
    hw_err rc = attention ? attention_values(e, out, g, err) : hw__recurrent_fill(e, out, source, err);
    if (rc != HW_OK) return rc;
    out->norm = g->kind;
    out->eps = g->eps;
    out->scale = g->scale * g->relative;
    out->stream_factor = g->stream_factor;
    out->gain = g->gain[0] ? out->gain_storage : NULL;
    rc = read_projection(e, out, g, channels, channels ? n_channels : D, err);
    if (rc != HW_OK || !g->gain[0]) return rc;
    if (!hw__reserve_floats(&out->gain_storage, &out->n_gain_capacity, D))
        return hw__fail_memory(err, g->gain, D, sizeof(float));
    out->gain = out->gain_storage;
    return hw__gguf_rows(e->file, out->gain, (hw__gguf_part){g->gain, 0, 1, D}, err);
}

hw_err hw__llama_values(hw__engine *base, hw__values *out, size_t source, hw_error *err) {
    hw__llama_engine *e = (hw__llama_engine *)base;
    if (e->values_problem[0]) return hw__fail(err, HW_ERR_UNSUPPORTED, "%s", e->values_problem);
    if (source >= (size_t)e->info.n_sources)
        return hw__fail(err, HW_ERR_ARGUMENT, "source %zu: the model has %d", source, e->info.n_sources);
    return hw__llama_layer_values(e, out, source, NULL, 0, err);
}

/* Mean of the output bias. */
static hw_err mean_bias(hw__llama_engine *e, hw_error *err) {
    size_t n = (size_t)e->info.n_vocab;
    if (!e->readout.bias[0]) return HW_OK;
    float *bias = hw__alloc(n, sizeof *bias);
    if (!bias) return hw__fail_memory(err, e->readout.bias, n, sizeof *bias);
    hw_err rc = hw__gguf_rows(e->file, bias, (hw__gguf_part){e->readout.bias, 0, 1, n}, err);
    size_t masked = e->readout.n_masked, first = masked ? e->readout.mask_first : n, after = first + masked;
    if (rc == HW_OK)
        e->readout.mean_bias = (hw__sum(bias, first) + hw__sum(bias + after, n - after)) / (double)(n - masked);
    free(bias);
    return rc;
}

/* out [D] <- row `id` of the output weights minus their mean row; *constant <- the biases' part of the logit above the
 * mean. */
static hw_err read_output(hw__llama_engine *e, float *out, double *constant, int32_t id, float *scratch,
                          hw_error *err) {
    const hw__readout_graph *r = &e->readout;
    size_t D = (size_t)e->info.n_embd;
    float bias = 0;
    hw_err rc = hw__gguf_rows(e->file, out, (hw__gguf_part){r->weight, (size_t)id, 1, D}, err);
    for (size_t d = 0; rc == HW_OK && d < D; d++) out[d] -= r->mean[d];
    if (rc == HW_OK && r->bias[0]) rc = hw__gguf_rows(e->file, &bias, (hw__gguf_part){r->bias, (size_t)id, 1, 1}, err);
    *constant = r->bias_scale * (bias - r->mean_bias);
    if (rc != HW_OK || !r->norm_bias[0]) return rc;
    rc = hw__gguf_rows(e->file, scratch, (hw__gguf_part){r->norm_bias, 0, 1, D}, err);
    for (size_t d = 0; rc == HW_OK && d < D; d++) *constant += r->norm_bias_scale * scratch[d] * out[d];
    return rc;
}

/* mean [D] of all V rows of the output weights <- of those whose logits the graph does not replace. */
static hw_err leave_out_masked(const hw__llama_engine *e, float *mean, hw_error *err) {
    const hw__readout_graph *r = &e->readout;
    size_t D = (size_t)e->info.n_embd, V = (size_t)e->info.n_vocab;
    double *sum = hw__alloc(D, sizeof *sum);
    float *row = hw__alloc(D, sizeof *row);
    hw_err rc = sum && row ? HW_OK : hw__fail_memory(err, "the mean output row", D, sizeof *sum);
    for (size_t d = 0; rc == HW_OK && d < D; d++) sum[d] = (double)mean[d] * (double)V;
    for (size_t i = 0; rc == HW_OK && i < r->n_masked; i++) {
        rc = hw__gguf_rows(e->file, row, (hw__gguf_part){r->weight, r->mask_first + i, 1, D}, err);
        for (size_t d = 0; rc == HW_OK && d < D; d++) sum[d] -= row[d];
    }
    for (size_t d = 0; rc == HW_OK && d < D; d++) mean[d] = (float)(sum[d] / (double)(V - r->n_masked));
    free(sum);
    free(row);
    return rc;
}

/* The mean row of the output weights, once. */
static hw_err take_mean(hw__llama_engine *e, hw_error *err) {
    hw__readout_graph *r = &e->readout;
    float *mean = NULL;
    if (r->mean) return HW_OK;
    hw_err rc = mean_bias(e, err);
    if (rc == HW_OK)
        rc = hw__mean_output_take(&mean, e->mean_output, e->file,
                                  &(hw__gguf_matrix){r->weight, (size_t)e->info.n_vocab, (size_t)e->info.n_embd},
                                  e->base.n_threads, err);
    if (rc == HW_OK && r->n_masked) rc = leave_out_masked(e, mean, err);
    if (rc == HW_OK) {
        r->mean = mean;
    } else {
        free(mean);
    }
    return rc;
}

hw_err hw__llama_readout(hw__engine *base, float *out, hw__readout *how, int32_t id, hw_error *err) {
    hw__llama_engine *e = (hw__llama_engine *)base;
    const hw__readout_graph *r = &e->readout;
    size_t D = (size_t)e->info.n_embd;
    if (e->readout_problem[0]) return hw__fail(err, HW_ERR_UNSUPPORTED, "%s", e->readout_problem);
    if (id < 0 || id >= e->info.n_vocab)
        return hw__fail(err, HW_ERR_ARGUMENT, "token id %d: the vocabulary has 0..%d", id, e->info.n_vocab - 1);
    if ((size_t)id >= r->mask_first && (size_t)id - r->mask_first < r->n_masked)
        return hw__fail(err, HW_ERR_ARGUMENT, "token %d: the model replaces its logit, so that it is never chosen", id);
    hw_err rc = take_mean(e, err);
    if (rc != HW_OK) return rc;
    float *scratch = hw__alloc(D, sizeof *scratch);
    if (!scratch) return hw__fail_memory(err, "the final norm", D, sizeof *scratch);
    *how = (hw__readout){.norm = r->kind, .eps = r->eps, .origin = r->origin_factor};
    rc = read_output(e, out, &how->constant, id, scratch, err);
    if (rc == HW_OK && r->norm[0]) rc = hw__gguf_rows(e->file, scratch, (hw__gguf_part){r->norm, 0, 1, D}, err);
    double mean = 0;
    for (size_t d = 0; rc == HW_OK && d < D; d++) {
        out[d] = (float)(r->scale * (r->norm[0] ? scratch[d] : 1) * out[d]);
        mean += out[d] / (double)D;
    }
    for (size_t d = 0; rc == HW_OK && r->kind == HW__NORM_LAYER && d < D; d++) out[d] = (float)(out[d] - mean);
    free(scratch);
    return rc;
}
