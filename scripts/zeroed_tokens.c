/*
 * zeroed_tokens.c - the probability of a token after a prompt of which some embeddings are 0, by libllama alone:
 * scripts/measure_squad.py.
 *
 *     zeroed_tokens MODEL N_CTX BACKENDS < LINES      a line "TARGET N ID... K POSITION..." gives the probability
 *
 * Embeddings are rows of the file's token_embd.weight. Before the first line the program compares a run by embeddings
 * with one by tokens, since some models scale embeddings; of those that do it multiplies by the root of the width.
 */
#include <ggml-cpu.h>
#include <ggml.h>
#include <gguf.h>
#include <llama.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct work {
    struct llama_context *ctx;
    const struct llama_vocab *vocab;
    struct ggml_tensor *embeddings;
    int width, n_ctx;
    float scale;
} work;

static void stop(const char *what) {
    fprintf(stderr, "zeroed_tokens: %s\n", what);
    exit(1);
}

static void quiet(enum ggml_log_level level, const char *text, void *data) {
    (void)data;
    if (level == GGML_LOG_LEVEL_ERROR) fputs(text, stderr);
}

static void read_embeddings(work *w, const char *path) {
    struct ggml_context *tensors = NULL;
    struct gguf_context *file =
        gguf_init_from_file(path, (struct gguf_init_params){.no_alloc = false, .ctx = &tensors});
    w->embeddings = file ? ggml_get_tensor(tensors, "token_embd.weight") : NULL;
    if (!w->embeddings) stop("the file has no token_embd.weight");
}

/* Log probabilities' normaliser in double. */
static double probability(const work *w, int target) {
    const float *logits = llama_get_logits_ith(w->ctx, -1);
    int n = llama_vocab_n_tokens(w->vocab);
    double max = -INFINITY, sum = 0;
    for (int v = 0; v < n; v++) max = fmax(max, logits[v]);
    for (int v = 0; v < n; v++) sum += exp(logits[v] - max);
    return exp(logits[target] - max) / sum;
}

static void decode(const work *w, struct llama_batch batch) {
    llama_memory_clear(llama_get_memory(w->ctx), true);
    if (llama_decode(w->ctx, batch)) stop("the engine could not decode");
}

/* `zero` [n]: whether a token's embedding is 0. NULL: by tokens. */
static double run(const work *w, const int *ids, int n, const char *zero, int target) {
    struct llama_batch batch = llama_batch_init(n, zero ? w->width : 0, 1);
    const struct ggml_type_traits *traits = ggml_get_type_traits(w->embeddings->type);
    for (int i = 0; i < n; i++) {
        float *row = zero ? batch.embd + (size_t)i * (size_t)w->width : NULL;
        const char *from = (const char *)w->embeddings->data + (size_t)ids[i] * w->embeddings->nb[1];
        if (row && zero[i]) memset(row, 0, (size_t)w->width * sizeof *row);
        if (row && !zero[i]) traits->to_float(from, row, w->width);
        for (int k = 0; row && k < w->width; k++) row[k] *= w->scale;
        if (!row) batch.token[i] = ids[i];
        batch.pos[i] = i;
        batch.n_seq_id[i] = 1;
        batch.seq_id[i][0] = 0;
        batch.logits[i] = i == n - 1;
    }
    batch.n_tokens = n;
    decode(w, batch);
    llama_batch_free(batch);
    return probability(w, target);
}

/* Both ways must give the same without a zero, with one of two scales. */
static void find_scale(work *w, const int *ids, int n, const char *none, int target) {
    double by_tokens = run(w, ids, n, NULL, target);
    float scales[] = {1, sqrtf((float)w->width)};
    for (int i = 0; i < 2; i++) {
        w->scale = scales[i];
        if (fabs(run(w, ids, n, none, target) - by_tokens) < 1e-3 + 1e-2 * by_tokens) return;
    }
    stop("embeddings of the file do not give what tokens give");
}

static void answer(work *w, int *ids, char *zero) {
    int target, n, k, at;
    while (scanf("%d %d", &target, &n) == 2) {
        if (n < 1 || n > w->n_ctx || target < 0 || target >= llama_vocab_n_tokens(w->vocab)) stop("a bad line");
        for (int i = 0; i < n; i++)
            if (scanf("%d", &ids[i]) != 1 || ids[i] < 0 || ids[i] >= w->embeddings->ne[1]) stop("a bad token");
        memset(zero, 0, (size_t)n);
        if (w->scale == 0) find_scale(w, ids, n, zero, target);
        if (scanf("%d", &k) != 1) stop("a line without positions");
        for (int i = 0; i < k; i++) {
            if (scanf("%d", &at) != 1 || at < 0 || at >= n) stop("a bad position");
            zero[at] = 1;
        }
        printf("%.9g\n", run(w, ids, n, zero, target));
        fflush(stdout);
    }
}

int main(int argc, char **argv) {
    work w = {.n_ctx = argc > 2 ? atoi(argv[2]) : 0};
    if (w.n_ctx < 1 || argc < 4) stop("usage: zeroed_tokens MODEL N_CTX FOLDER_OF_BACKENDS");
    llama_log_set(quiet, NULL);
    ggml_backend_load_all_from_path(argv[3]);
    struct llama_model *model = llama_model_load_from_file(argv[1], llama_model_default_params());
    if (!model) stop("the model could not be opened");
    struct llama_context_params params = llama_context_default_params();
    params.n_ctx = params.n_batch = params.n_ubatch = (uint32_t)w.n_ctx;
    params.n_threads = params.n_threads_batch = 1;
    w.ctx = llama_init_from_model(model, params);
    w.vocab = llama_model_get_vocab(model);
    w.width = llama_model_n_embd(model);
    read_embeddings(&w, argv[1]);
    int *ids = calloc((size_t)w.n_ctx, sizeof *ids);
    char *zero = calloc((size_t)w.n_ctx, 1);
    if (!w.ctx || !ids || !zero) stop("no memory for a context");
    answer(&w, ids, zero);
    free(ids);
    free(zero);
    llama_free(w.ctx);
    llama_model_free(model);
    return 0;
}
