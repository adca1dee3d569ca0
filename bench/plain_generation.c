/*
 * plain_generation.c - the reference for a whole command: loads a model with libllama, decodes a prompt, samples
 * greedily and prints, with the same context and batch sizes as Headwater and nothing else.
 *
 *     plain_generation MODEL N THREADS < PROMPT
 *
 * bench/cold_start.py builds and runs it.
 */
#include <llama.h>

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PROMPT = 1 << 16, MAX_TOKENS = 8192 };

static void quiet(enum ggml_log_level level, const char *text, void *ctx) {
    (void)level;
    (void)text;
    (void)ctx;
}

static void die(const char *what) {
    fprintf(stderr, "plain_generation: %s\n", what);
    exit(1);
}

/* ggml's backends are in its own folder. */
static void load_backends(void) {
    Dl_info library;
    char folder[4096];
    if (ggml_backend_dev_count() > 0) return;
    if (!dladdr((void *)ggml_backend_load_all_from_path, &library) || !library.dli_fname) die("no libggml");
    snprintf(folder, sizeof folder, "%s", library.dli_fname);
    char *slash = strrchr(folder, '/');
    if (slash) *slash = 0;
    ggml_backend_load_all_from_path(slash ? folder : ".");
}

static struct llama_context *open_context(struct llama_model *model, int n_tokens, int n_threads) {
    struct llama_context_params p = llama_context_default_params();
    p.n_ctx = (uint32_t)((n_tokens + 255) / 256 * 256);
    p.n_batch = p.n_ubatch = 512;
    p.n_threads = p.n_threads_batch = n_threads;
    p.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
    struct llama_context *ctx = llama_init_from_model(model, p);
    if (!ctx) die("no context");
    return ctx;
}

int main(int argc, char **argv) {
    static char prompt[MAX_PROMPT];
    static llama_token ids[MAX_TOKENS];
    if (argc != 4) die("usage: plain_generation MODEL N THREADS < PROMPT");
    int n_generate = atoi(argv[2]), n_threads = atoi(argv[3]);
    size_t n_bytes = fread(prompt, 1, sizeof prompt, stdin);
    llama_log_set(quiet, NULL);
    load_backends();
    llama_backend_init();
    struct llama_model_params mp = llama_model_default_params();
    mp.n_gpu_layers = 0;
    struct llama_model *model = llama_model_load_from_file(argv[1], mp);
    if (!model) die("the model cannot be loaded");
    const struct llama_vocab *vocab = llama_model_get_vocab(model);
    int n = llama_tokenize(vocab, prompt, (int32_t)n_bytes, ids, MAX_TOKENS, true, false);
    if (n < 1) die("the prompt has no tokens, or too many");
    struct llama_context *ctx = open_context(model, n + n_generate, n_threads);
    struct llama_sampler *greedy = llama_sampler_init_greedy();
    struct llama_batch batch = llama_batch_get_one(ids, n);
    for (int i = 0; i < n_generate; i++) {
        char piece[256];
        if (llama_decode(ctx, batch) != 0) die("decoding failed");
        llama_token id = llama_sampler_sample(greedy, ctx, -1);
        int length = llama_token_to_piece(vocab, id, piece, sizeof piece, 0, true);
        if (length > 0) fwrite(piece, 1, (size_t)length, stdout);
        ids[0] = id;
        batch = llama_batch_get_one(ids, 1);
    }
    putchar('\n');
    llama_sampler_free(greedy);
    llama_free(ctx);
    llama_model_free(model);
    return 0;
}
