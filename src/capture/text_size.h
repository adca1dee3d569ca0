/*
 * text_size.h - checks whether a text can fit into the context before all of it is tokenized, and tokenizes long texts
 * where a stop function can end that.
 *
 * Tokenizing takes about a hundred bytes of memory and half a microsecond per byte of text, in one call of libllama
 * that cannot be stopped. A text that is far too long is therefore rejected by its size, then by a count over its
 * parts. A long text that may fit is tokenized in a child process: the ids are those of one call over the whole text,
 * which parts would not give (tokenizers merge over any place where a text could be cut), and the child can be ended.
 */
#ifndef HW_CAPTURE_TEXT_SIZE_H
#define HW_CAPTURE_TEXT_SIZE_H

#include "engine/engine.h"

/* Memory of the tokenizer per byte of text; measured with libllama on words, letters and spaces: 40 to 112. */
enum { HW__TOKENIZER_BYTES = 128 };

/* A text of the caller, and its name in messages. */
typedef struct hw__text {
    const char *bytes; /* [n] */
    size_t n;
    const char *name; /* "prompt" */
} hw__text;

/* ARGUMENT if the text cannot fit into the engine's context, or tokenizing it would take more than params->memory;
 * CANCELLED if params->stop returned true. OK does not imply that the exact number of tokens fits. */
hw_err hw__text_check(hw__engine *engine, const hw__text *text, const hw_run_params *params, hw_error *err);

/* *out <- ids of the text, malloc'd; `flags` as of the engine's tokenize. Errors: as that; CANCELLED; UNSUPPORTED where
 * the tokenizer fails on a long text. */
hw_err hw__text_tokens(hw__tokens *out, hw__engine *engine, const hw__text *text, unsigned flags,
                       const hw_run_params *params, hw_error *err);

#endif
