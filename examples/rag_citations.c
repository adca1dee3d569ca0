/* rag_citations.c - an answer from documents, with the documents that each sentence is based on.
 *     rag_citations MODEL.gguf "Where is the key?" */
#include <headwater.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N_DOCUMENTS = 3, N_FOUND = 2, MAX_PROMPT = 2000 };
typedef struct document {
    const char *name, *text;
} document;
static const document documents[N_DOCUMENTS] = {
    {"Notes", "The key is in the blue cup. The cup is in the kitchen."},
    {"Diary", "Oscar left for Norvik on Monday. He took the early train."},
    {"Report", "The lighthouse of Norvik was built in 1873. Paula plays the harp there."},
};

static void stop(const hw_error *err) {
    fprintf(stderr, "%s\n", err->msg);
    exit(1);
}

/* Number of the question's words that the text has; a real program searches an index here. */
static int shared_words(const char *text, const char *question) {
    int n = 0;
    char word[64];
    for (size_t length; (length = strcspn(question, " ?")) > 0 || *question;
         question += length + (question[length] != 0)) {
        snprintf(word, sizeof word, "%.*s", (int)length, question);
        n += length > 0 && strstr(text, word) != NULL;
    }
    return n;
}

static const char *searched; /* the question, for by_words() */
static int by_words(const void *a, const void *b) {
    return shared_words(((const document *)b)->text, searched) - shared_words(((const document *)a)->text, searched);
}

/* The documents and the question as one message; spans: where each document is in it. */
static size_t write_prompt(char *out, hw_span *spans, const document *found, const char *question) {
    size_t n = 0;
    for (int i = 0; i < N_FOUND; i++) {
        spans[i] = (hw_span){.name = found[i].name, .begin = n};
        n += (size_t)snprintf(out + n, MAX_PROMPT - n, "%s: %s", found[i].name, found[i].text);
        spans[i].end = n;
        n += (size_t)snprintf(out + n, MAX_PROMPT - n, "\n\n");
    }
    return n + (size_t)snprintf(out + n, MAX_PROMPT - n, "Question: %.400s", question);
}

static void print_answer(const hw_run *run, const hw_segments *passages, const hw_segments *answer,
                         const hw_citation *c) {
    size_t n_text, n_marked;
    const char *text = hw_run_completion(run, &n_text);
    const size_t *order = hw_citation_order(c, &n_marked); /* number [i + 1] is the passage order[i] */
    for (size_t part = 0; part < hw_citation_n_parts(c); part++) {
        const hw_span *span = hw_segments_at(answer, part);
        size_t end = span->end;
        while (end > span->begin && text[end - 1] == ' ') end--; /* a sentence has the space behind it */
        printf("%s%.*s", part ? " " : "", (int)(end - span->begin), text + span->begin);
        for (size_t i = 0; i < n_marked; i++)
            if (hw_citation_at(c, part, order[i]).marked) printf(" [%zu]", i + 1);
    }
    printf("\n");
    for (size_t i = 0; i < hw_citation_n_passages(c); i++) {
        double share = hw_citation_at(c, hw_citation_n_parts(c), order[i]).share;
        printf(i < n_marked ? "[%zu] " : "    ", i + 1);
        printf("%s: %.0f%% of the answer\n", hw_segments_at(passages, order[i])->name, 100 * share);
    }
}

int main(int argc, char **argv) {
    hw_error err = {.msg = "usage: rag_citations MODEL.gguf QUESTION"};
    hw_model *model = NULL;
    hw_trace *trace = NULL;
    hw_segments *passages = NULL, *answer = NULL;
    hw_attribution *a = NULL;
    hw_citation *citation = NULL;
    hw_run_params run = hw_run_params_default();
    hw_method_params method = hw_method_params_default();
    hw_explainer_params keeps = hw_explainer_params_default();
    document found[N_DOCUMENTS];
    hw_span spans[N_FOUND];
    char prompt[MAX_PROMPT];
    size_t n_messages, n_tokens;
    hw_log_set(NULL, NULL);
    if (argc != 3) stop(&err);

    searched = argv[2];
    memcpy(found, documents, sizeof found);
    qsort(found, N_DOCUMENTS, sizeof *found, by_words);
    run.prompt_bytes = write_prompt(prompt, spans, found, argv[2]);
    run.prompt = prompt, run.chat = true, run.n_generate = 60;
    keeps.keep = HW_KEEP_METHODS;
    if (hw_model_open(&model, argv[1], NULL, &err) || hw_explainer_new(&run.explainer, &keeps, &err) ||
        hw_explainer_add(run.explainer, "logit", NULL, &err) || hw_trace_capture(&trace, model, &run, &err))
        stop(&err);

    const hw_run *done = hw_trace_run(trace);
    size_t message = hw_run_messages(done, &n_messages)[0].begin; /* where the template put it */
    for (int i = 0; i < N_FOUND; i++) spans[i].begin += message, spans[i].end += message;
    if (hw_segments_from_spans(&passages, done, HW_SIDE_PROMPT, spans, N_FOUND, &err) ||
        hw_segments_new(&answer, done, HW_SIDE_COMPLETION, "sentence", &err))
        stop(&err);
    method.groups = hw_segments_groups(passages, &n_tokens);
    method.n_groups = hw_segments_count(passages);
    method.through = true; /* what comes by way of the answer's own words is followed to the documents */
    if (hw_explain(&a, trace, "logit", &method, &err) || hw_citation_new(&citation, a, passages, answer, NULL, &err))
        stop(&err);
    print_answer(done, passages, answer, citation);

    hw_citation_free(citation), hw_attribution_free(a), hw_segments_free(answer), hw_segments_free(passages);
    hw_trace_free(trace), hw_explainer_free(run.explainer), hw_model_close(model);
    return 0;
}
