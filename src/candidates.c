/* candidates.c - one pass for the best few, one for the normaliser. */
#include "candidates.h"

#include <math.h>

/* Inserts (id, value) into a falling list of `n` with room for `room`; ties keep the earlier id first. */
static int insert(int32_t *ids, float *values, int n, int room, int32_t id, float value) {
    int at = n < room ? n : room - 1;
    if (n == room && value <= values[room - 1]) return n;
    for (; at > 0 && values[at - 1] < value; at--) {
        values[at] = values[at - 1];
        ids[at] = ids[at - 1];
    }
    values[at] = value;
    ids[at] = id;
    return n < room ? n + 1 : room;
}

int hw__log_softmax(float *logprob, int32_t *best_ids, float *best_logprobs, int n_best, const float *logits, size_t n,
                    int32_t id) {
    int found = 0;
    for (size_t i = 0; i < n; i++) {
        if (isnan(logits[i])) return -1;
        found = insert(best_ids, best_logprobs, found, n_best, (int32_t)i, logits[i]);
    }
    if (found == 0 || isinf(best_logprobs[0])) return -1;
    double sum = 0, top = best_logprobs[0];
    for (size_t i = 0; i < n; i++) sum += expf((float)(logits[i] - top));
    double norm = top + log(sum);
    for (int i = 0; i < found; i++) best_logprobs[i] = (float)(best_logprobs[i] - norm);
    *logprob = (float)(logits[id] - norm);
    return found;
}

hw_err hw__candidates_read(hw__candidates *c, hw_token *token, hw__engine *engine, size_t row, hw_error *err) {
    const float *logits = engine->ops->logits(engine, row);
    const hw_model_info *info = engine->ops->describe(engine);
    if (!logits) return hw__fail(err, HW_ERR_ENGINE, "row %zu of the last decode has no logits", row);
    if (token->id < 0 || token->id >= info->n_vocab)
        return hw__fail(err, HW_ERR_ARGUMENT, "token id %d: the vocabulary has 0..%d", token->id, info->n_vocab - 1);
    int32_t ids[HW_N_ALTERNATIVES];
    float logprobs[HW_N_ALTERNATIVES];
    int n =
        hw__log_softmax(&token->logprob, ids, logprobs, HW_N_ALTERNATIVES, logits, (size_t)info->n_vocab, token->id);
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

double hw__candidates_above(hw__engine *engine, size_t row, int32_t id, int32_t versus) {
    const float *logits = engine->ops->logits(engine, row);
    if (versus >= 0) return (double)logits[id] - logits[versus];
    size_t n = (size_t)engine->ops->describe(engine)->n_vocab;
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += logits[i];
    return logits[id] - sum / (double)n;
}
