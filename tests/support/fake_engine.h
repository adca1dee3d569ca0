/*
 * fake_engine.h - a model of the tests' own: every number from a hash, every failure on request.
 *
 * Its vocabulary is the 256 bytes, three control tokens and some words; the tokenizer takes the longest that fits.
 * Row q of its attention depends on the tokens up to q only, so that it is a causal model.
 */
#ifndef HW_SUPPORT_FAKE_ENGINE_H
#define HW_SUPPORT_FAKE_ENGINE_H

#include "support/fixture.h"

enum { FAKE_BOS = 256, FAKE_END = 257, FAKE_TOOL = 258, FAKE_WORDS = 259 };

typedef enum fake_failure {
    FAKE_NONE,
    FAKE_NAN_WEIGHT,   /* in the last head */
    FAKE_NEGATIVE,     /* a weight of the last head */
    FAKE_ROW_SUM,      /* the last head's row sums to 1.5 */
    FAKE_ROW_SHORT,    /* the last head's row sums to 0.5 */
    FAKE_OPPOSED_SUMS, /* the first head's row sums to 1.5, the last one's to 0.5 */
    FAKE_TOO_FEW_KEYS, /* one column less than there are tokens */
    FAKE_EXTRA_LAYER,  /* shows layer L */
    FAKE_DECODE,       /* decode fails */
    FAKE_NAN_LOGIT,
    FAKE_NO_LOGITS,
    FAKE_TOKENIZE,
    FAKE_NO_REWIND, /* cannot forget its last tokens */
    FAKE_REWIND     /* fails when it is to forget */
} fake_failure;

typedef struct fake_params {
    int32_t n_layers, n_heads;
    size_t chunk; /* most tokens of one decode */
    int32_t n_ctx;
    bool adds_bos, adds_end;              /* the tokenizer's doing, where asked for */
    bool puts_space;                      /* a space before every text, whatever it begins with */
    bool lowers_case;                     /* the tokenizer rewrites A-Z */
    bool replaces_bad;                    /* invalid UTF-8 as U+FFFD */
    const char *chat_before, *chat_after; /* around each message; NULL: no chat template */
    bool chat_trims;                      /* the template trims messages */
    attention_fn attention;               /* NULL: from a hash of the tokens */
    /* Logits [V] of what follows ids [n]; NULL: from a hash of them, never FAKE_END. */
    void (*logits)(const void *ctx, float *out, const int32_t *ids, size_t n);
    const void *ctx;          /* for attention and logits */
    size_t key_padding;       /* columns of zeros beyond the tokens */
    size_t row_gap, head_gap; /* floats between rows and heads that are NaN */
    double sinks;             /* share of each row that goes to a learned sink */
    const char *problem;
    const char *fingerprint; /* metadata_sha256; NULL: "" */
    const char *sample;      /* sample_sha256; NULL: "" */
    fake_failure failure;
    size_t fail_at; /* token, at or after the first, whose decode shows it; with FAKE_NO_LOGITS: decode call */
    size_t fail_layer;
} fake_params;

fake_params fake_params_default(void); /* 3 layers, 2 heads, chunks of 512, 4096 tokens, BOS, a chat template */

/* The logits where no function is given. */
void fake_logits(float *out, const int32_t *ids, size_t n);
/* Logits by a script: after ids [n] comes script.ids[n - n_prompt] with probability near 1, the rest hashed. */
typedef struct fake_script {
    size_t n_prompt, n;
    const char *const *texts; /* [n] of tokens; after them comes FAKE_END */
} fake_script;
void fake_follow(const void *script, float *out, const int32_t *ids, size_t n);

/* A model on that engine; free with hw_model_close(). */
hw_model *fake_model(const fake_params *params);
size_t fake_n_vocab(void);
/* Id of the token that reads so; fails the test where there is none. */
int32_t fake_id(const char *text);
/* Number of decode calls so far, and the longest of them. */
size_t fake_n_decodes(const hw_model *model);
size_t fake_longest_decode(const hw_model *model);
size_t fake_n_decoded(const hw_model *model); /* tokens of all decode calls */
size_t fake_n_begins(const hw_model *model);
size_t fake_n_tokenized(const hw_model *model); /* bytes of all texts that were tokenized */

/* Run parameters for a prompt, greedy; completion NULL: `n` tokens are generated. */
hw_run_params ask(const char *prompt, const char *completion, size_t n);
/* Captures on a model made for it; fails the test where that fails. */
hw_trace *fake_trace(const fake_params *params, const hw_run_params *run);
/* The same, the verdict returned. */
hw_err fake_try(hw_trace **out, const fake_params *params, const hw_run_params *run, hw_error *err);

#endif
