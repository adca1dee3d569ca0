/* run_citations.c - cites by passage and by sentence, and adds which token belongs to which part. */
#include "export/run_citations.h"

#include "base/error.h"
#include "base/json.h"
#include "export/cite.h"
#include "export/text_buffer.h"

#include <stdlib.h>
#include <string.h>

const char *citing_method(hw_method_params *settings, const hw_model_info *model) {
    static const char method[] = "logit";
    *settings = hw_method_params_default();
    settings->through = true;
    return model && *hw_method_problem(hw_method_find(method), model) ? NULL : method;
}

/* The segment of each token of a side; -1: none. */
static json_t *groups_of(const hw_segments *segments) {
    size_t n;
    const int32_t *groups = hw_segments_groups(segments, &n);
    json_t *list = json_array();
    for (size_t t = 0; t < n; t++) list = hw__json_append(list, json_integer(groups[t]));
    return list;
}

static hw_err cite(json_t **out, const hw_attribution *a, cite_facts f, hw_error *err) {
    hw_citation *citation;
    hw_err rc = hw_citation_new(&citation, a, f.passages, f.answer, NULL, err);
    if (rc != HW_OK) return rc;
    f.run = hw_attribution_run(a);
    f.a = a;
    f.citation = citation;
    json_t *json = cite_json(&f);
    json = hw__json_set(json, "prompt_groups", groups_of(f.passages));
    json = hw__json_set(json, "answer_groups", groups_of(f.answer));
    hw_citation_free(citation);
    *out = json;
    return json ? HW_OK : hw__fail(err, HW_ERR_MEMORY, "no memory for citations");
}

static hw_err append(json_t **list, const hw_attribution *a, cite_facts f, hw_error *err) {
    json_t *one = NULL;
    hw_err rc = cite(&one, a, f, err);
    if (rc != HW_OK) return rc;
    *list = hw__json_append(*list, one);
    return *list ? HW_OK : hw__fail(err, HW_ERR_MEMORY, "no memory for citations");
}

/* Segments of a side; NULL with HW_OK for a side without sentences. */
static hw_err sentences(hw_segments **out, const hw_run *run, hw_side side, hw_error *err) {
    hw_err rc = hw_segments_new(out, run, side, "sentence", err);
    if (rc == HW_OK && hw_segments_count(*out) > 0) return HW_OK;
    if (rc == HW_OK) hw_segments_free(*out);
    *out = NULL;
    return rc == HW_ERR_ARGUMENT ? HW_OK : rc;
}

hw_err run_citations(json_t **out, const hw_attribution *followed, const hw_segments *passages, hw_error *err) {
    const hw_run *run = hw_attribution_run(followed);
    hw_segments *prompt = NULL, *answer = NULL;
    json_t *list = json_array();
    hw_err rc = list ? HW_OK : hw__fail(err, HW_ERR_MEMORY, "no memory for citations");
    if (rc == HW_OK) rc = sentences(&prompt, run, HW_SIDE_PROMPT, err);
    if (rc == HW_OK) rc = sentences(&answer, run, HW_SIDE_COMPLETION, err);
    cite_facts f = {.answer = answer, .answer_by = "sentence"};
    if (rc == HW_OK && answer && passages) {
        f.by = "passage";
        f.passages = passages;
        rc = append(&list, followed, f, err);
    }
    if (rc == HW_OK && answer && prompt) {
        f.by = "sentence";
        f.passages = prompt;
        rc = append(&list, followed, f, err);
    }
    hw_segments_free(prompt);
    hw_segments_free(answer);
    if (rc != HW_OK) {
        json_decref(list);
        return rc;
    }
    *out = list;
    return HW_OK;
}

size_t n_finished_parts(const hw_attribution *followed) {
    hw_segments *answer = NULL;
    if (sentences(&answer, hw_attribution_run(followed), HW_SIDE_COMPLETION, NULL) != HW_OK || !answer) return 0;
    size_t n, finished = 0;
    const int32_t *groups = hw_segments_groups(answer, &n);
    for (size_t i = 0; i < hw_attribution_n_rows(followed) && i < n; i++)
        if (groups[i] > (int32_t)finished) finished = (size_t)groups[i];
    hw_segments_free(answer);
    return finished;
}

char *add_citations(char *run, json_t *citations) {
    buffer text = {.n = 0};
    buffer_splice(&text, json_pack("{s:o}", "citations", citations), NULL, run, strlen(run));
    free(run);
    if (text.failed) buffer_free(&text);
    return text.bytes;
}
