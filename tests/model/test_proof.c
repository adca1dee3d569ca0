/*
 * test_proof.c - the proof at load refuses what is not so: each of its steps with one reading of the graph changed.
 *
 * Includes the probe's source, so that a reading can be changed between the walk over the graph and the proof. The
 * changes are the errors of code that assumes instead of reading: a logit factor, layer scalars or a cap that is not
 * known.
 */
#include "engine/llama/probe.c"

#include "support/fixture.h"

#include "engine/llama/file/gguf.h"
#include "engine/llama/graph/stream_map.h"
#include "engine/llama/graph/value_convolution.h"

static hw__llama_engine *engine_of(hw_model *model) { return (hw__llama_engine *)model->engine; }

static hw_model *open_zoo(const char *name) {
    hw_model_params params = hw_model_params_default();
    params.n_threads = 1;
    params.f32_cache = true;
    return open_zoo_model(name, &params);
}

typedef void (*change_fn)(hw__llama_engine *e);

static void change_nothing(hw__llama_engine *e) { (void)e; }
static void forget_logit_factor(hw__llama_engine *e) { e->readout.scale = 1; }
static void forget_cap(hw__llama_engine *e) { e->readout.cap = 0; }
static void forget_final_gain(hw__llama_engine *e) { e->readout.norm[0] = 0; }
static void take_embeddings(hw__llama_engine *e) {
    snprintf(e->readout.weight, sizeof e->readout.weight, "token_embd.weight");
}

/* As if later blocks did not scale the stream. */
static void forget_layer_scalars(hw__llama_engine *e) {
    for (int32_t s = 0; s < e->info.n_sources; s++) e->graphs[s].stream_factor = 1;
}

static void change_mlp_factor(hw__llama_engine *e) {
    for (size_t i = 0; i < e->n_taps; i++)
        if (e->taps[i].role == HW__TAP_REST) e->taps[i].factor *= 1.01;
}

/* As code without a map does with AltUp: the stream as a plain sum. */
static void forget_mixing(hw__llama_engine *e) {
    hw__stream_map_free(e->map);
    e->map = NULL;
}

/* As code that takes blocks with attention and MLP side by side for sequential ones: the sum after attention lacks the
 * MLP. */
static void take_sum_without_mlp(hw__llama_engine *e) {
    for (size_t i = 0; i < e->n_taps; i++)
        if (e->taps[i].role == HW__TAP_REST) e->taps[i].factor = 0;
}

static void double_projection(hw__llama_engine *e) { e->graphs[1].scale *= 2; }
static void swap_projection(hw__llama_engine *e) {
    char name[GGML_MAX_NAME];
    memcpy(name, e->graphs[0].wo, sizeof name);
    memcpy(e->graphs[0].wo, e->graphs[1].wo, sizeof name);
    memcpy(e->graphs[1].wo, name, sizeof name);
}
static void widen_projection(hw__llama_engine *e) { e->graphs[2].wo_width += 32; }
static void halve_heads(hw__llama_engine *e) { e->graphs[0].n_heads /= 2; }

/* Taps of the convolution in front of a recurrent layer's values, the first for the last. */
static void turn_taps(hw__llama_engine *e) {
    hw__front *f = hw__recurrent_front(e, 0);
    assert_non_null(f->taps);
    for (size_t c = 0; c < f->n_channels; c++)
        for (size_t i = 0; i < f->n_taps / 2; i++) {
            float *taps = f->taps + c * f->n_taps, last = taps[f->n_taps - 1 - i];
            taps[f->n_taps - 1 - i] = taps[i];
            taps[i] = last;
        }
}

/* Its values as if they began one channel earlier. */
static void shift_front(hw__llama_engine *e) { hw__recurrent_front(e, 0)->first -= 1; }

static void double_contribution(hw__llama_engine *e) { e->graphs[1].relative = 2; }

/* Reads the graph and proves it as at load, with a change between the two. */
static void probe_changed(hw__llama_engine *e, change_fn change) {
    int32_t ids[PROBE_TOKENS] = {1, 5, 6, 7};
    hw_error err = {0};
    assert_int_equal(e->base.ops->begin(&e->base, PROBE_TOKENS, NULL, NULL, &err), HW_OK);
    assert_int_equal(read_graph(e, ids, e->mapped ? 1 : PROBE_TOKENS, true, &err), HW_OK);
    assert_string_equal(e->values_problem, "");
    assert_string_equal(e->readout_problem, "");
    change(e);
    probe p = {.proof = hw__proof_new(e)};
    assert_non_null(p.proof);
    assert_int_equal(run_probe(e, &p, ids, &err), HW_OK);
    hw__proof_free(p.proof);
}

static void each_step_refuses_what_is_not_so(void **state) {
    (void)state;
    static const struct {
        const char *model, *values, *readout; /* "" where it stays as it is */
        change_fn change;
        const char *recurrent;
    } cases[] = {
        {"granite", "", "", change_nothing, ""},
        {"gemma2", "", "", change_nothing, ""},
        {"falcon", "", "", change_nothing, ""},
        /* (a) the final stream gives the logits */
        {"granite", "", "do not give the engine's logits", forget_logit_factor, ""},
        {"cohere", "", "do not give the engine's logits", forget_logit_factor, ""},
        {"gemma2", "", "do not give the engine's logits", forget_cap, ""},
        {"qwen3", "", "do not give the engine's logits", forget_final_gain, ""},
        {"qwen3", "", "do not give the engine's logits", take_embeddings, ""},
        /* (b) the stream is the sum of what blocks add */
        {"gemma4", "is not what the blocks", "is not known", forget_layer_scalars, ""},
        {"falcon", "is not what the blocks", "is not known", change_mlp_factor, ""},
        {"falcon", "the stream that enters block 1 is not", "is not known", take_sum_without_mlp, ""},
        {"phi2", "the stream that enters block 1 is not", "is not known", take_sum_without_mlp, ""},
        {"gemma3n", "is not what the blocks", "is not known", forget_mixing, ""},
        {"gemma3n", "", "", change_nothing, ""},
        {"gemma3n", "is not what the blocks added, mixed as the graph does", "is not known", double_contribution, ""},
        /* (c) values and weights give what attention adds */
        {"llama", "block 1: the values times attention weights", "is not known", double_projection, ""},
        {"llama", "block 0: the values times attention weights", "is not known", swap_projection, ""},
        {"gemma3n", "block 0: the values times attention weights", "is not known", swap_projection, ""},
        /* (d) shapes are as expected */
        {"llama", "block 2: blk.2.attn_output.weight has rows of", "is not known", widen_projection, ""},
        {"llama", "block 0: ", "is not known", halve_heads, ""},
        /* (e) what recurrent layers read gives what they add */
        {"qwen35", "", "", turn_taps, "block 0: the values times rows of its recurrence"},
        {"mamba", "", "", turn_taps, "block 0: the values times rows of its recurrence"},
        {"mamba2", "", "", turn_taps, "block 0: the values times rows of its recurrence"},
        {"nemotron_h", "", "", turn_taps, "block 0: the values times rows of its recurrence"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hw_model *model = open_zoo(cases[i].model);
        hw__llama_engine *e = engine_of(model);
        probe_changed(e, cases[i].change);
        print_message("%zu %s: \"%s\" \"%s\" \"%s\"\n", i, cases[i].model, e->values_problem, e->readout_problem,
                      e->recurrent_problem);
        if ((cases[i].recurrent[0] == 0) != (e->recurrent_problem[0] == 0) ||
            !strstr(e->recurrent_problem, cases[i].recurrent))
            fail_msg("case %zu, recurrent: \"%s\", expected \"%s\"", i, e->recurrent_problem, cases[i].recurrent);
        if ((cases[i].values[0] == 0) != (e->values_problem[0] == 0) || !strstr(e->values_problem, cases[i].values))
            fail_msg("case %zu, values: \"%s\", expected \"%s\"", i, e->values_problem, cases[i].values);
        if ((cases[i].readout[0] == 0) != (e->readout_problem[0] == 0) || !strstr(e->readout_problem, cases[i].readout))
            fail_msg("case %zu, readout: \"%s\", expected \"%s\"", i, e->readout_problem, cases[i].readout);
        hw_model_close(model);
    }
}

/* As an architecture without a cache would show them. */
static void rows_without_earlier_tokens_are_refused(void **state) {
    (void)state;
    static const float attn[] = {1};
    hw__heads heads = {.attn = attn, .n_heads = 1, .n_rows = 1, .n_keys = 1, .q0 = PROBE_FIRST};
    probe p = {.architecture = "made-up"};
    hw_error err = {0};
    hw_err rc = probe_rows(&p, 0, &heads, &err);
    assert_error(&err, rc, HW_ERR_UNSUPPORTED,
                 "made-up does not reach tokens of an earlier decode (token 3 has 1 column)");
}

/* A convolution that is not the one in front of the values is not used; the values are then their own tokens'. */
static void another_convolution_is_dropped(void **state) {
    (void)state;
    hw_model *model = open_zoo("qwen35");
    hw__llama_engine *e = engine_of(model);
    probe_changed(e, shift_front);
    assert_string_equal(e->recurrent_problem, "");
    assert_null(hw__recurrent_front(e, 0)->taps);
    assert_non_null(hw__recurrent_front(e, 1)->taps);
    hw_model_close(model);
}

/* An engine may give the logits of another row when several tokens are decoded, as libllama does for CogVLM. */
static void logits_of_several_tokens_are_compared(void **state) {
    (void)state;
    hw_model *model = open_zoo("llama");
    hw__llama_engine *e = engine_of(model);
    int32_t ids[PROBE_TOKENS] = {1, 5, 6, 7};
    hw_error err = {0};
    probe p = {.proof = hw__proof_new(e), .architecture = "llama"};
    hw__sink sink = {.rows = probe_rows,
                     .stream = probe_stream,
                     .final = probe_final,
                     .origin = probe_origin,
                     .mixing = probe_mixing,
                     .ctx = &p,
                     .values = true};
    assert_int_equal(e->base.ops->begin(&e->base, PROBE_TOKENS, NULL, NULL, &err), HW_OK);
    assert_int_equal(read_graph(e, ids, PROBE_TOKENS, true, &err), HW_OK);
    hw__proof_free(p.proof);
    p.proof = e->proof = hw__proof_new(e);
    assert_int_equal(e->base.ops->begin(&e->base, PROBE_TOKENS, NULL, NULL, &err), HW_OK);
    assert_int_equal(e->base.ops->decode(&e->base, (hw__token_batch){ids, 3, 0, 2}, &sink, &err), HW_OK);
    hw__proof_close(p.proof, e, false);
    assert_string_equal(e->readout_problem, "");
    float *other = calloc((size_t)e->info.n_embd, sizeof *other);
    assert_non_null(other);
    other[0] = 1;
    assert_int_equal(hw__proof_final(p.proof, other, 1, 1, &err), HW_OK);
    e->values_problem[0] = 0;
    hw__proof_close(p.proof, e, false);
    assert_non_null(strstr(e->readout_problem, "do not give the engine's logits"));
    free(other);
    e->proof = NULL;
    hw__proof_free(p.proof);
    hw_model_close(model);
}

/* Chameleon's graph cannot be built for a decode without logits; the rows are the same with one more. */
static void a_decode_without_logits_can_have_one(void **state) {
    (void)state;
    struct ggml_tensor set = {.op = GGML_OP_SET, .name = "result_output"}, add = {.op = GGML_OP_ADD, .name = "x"};
    struct ggml_tensor *nodes[] = {&add, &set};
    assert_true(overwrites_logits(&(hw__record){.nodes = nodes, .n = 2}));
    assert_false(overwrites_logits(&(hw__record){.nodes = nodes, .n = 1}));
    hw_model *model = open_zoo("llama");
    hw__llama_engine *e = engine_of(model);
    assert_false(e->needs_logits);
    static const int32_t ids[] = {1, 5, 6, 7, 8, 9};
    for (int needs = 0; needs < 2; needs++) {
        hw_error err = {0};
        e->needs_logits = needs;
        probe p = {.proof = hw__proof_new(e), .architecture = "llama"};
        hw__sink sink = {.rows = probe_rows, .ctx = &p};
        assert_int_equal(e->base.ops->begin(&e->base, 6, NULL, NULL, &err), HW_OK);
        assert_int_equal(e->base.ops->decode(&e->base, (hw__token_batch){ids, 4, 0, 4}, &sink, &err), HW_OK);
        assert_true((e->base.ops->logits(&e->base, 3) != NULL) == needs);
        assert_int_equal(e->base.ops->decode(&e->base, (hw__token_batch){ids + 4, 2, 4, 1}, &sink, &err), HW_OK);
        assert_true(p.row_error < HW_ROW_TOLERANCE && !p.non_causal);
        hw__proof_free(p.proof);
    }
    hw_model_close(model);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_step_refuses_what_is_not_so), cmocka_unit_test(another_convolution_is_dropped),
        cmocka_unit_test(a_decode_without_logits_can_have_one), cmocka_unit_test(logits_of_several_tokens_are_compared),
        cmocka_unit_test(rows_without_earlier_tokens_are_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
