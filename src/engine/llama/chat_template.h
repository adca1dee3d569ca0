/*
 * chat_template.h - chat templates, rendered by llama.cpp's own engine for Jinja (its library llama-common), behind C functions.
 *
 * That library is optional: without it the functions say what is missing. It is C++; every exception ends here as an error.
 */
#ifndef HW_ENGINE_LLAMA_CHAT_TEMPLATE_H
#define HW_ENGINE_LLAMA_CHAT_TEMPLATE_H

#ifdef __cplusplus
extern "C" {
#endif

#include "engine/engine.h"

struct llama_model;

/* The conversation as llama.cpp's server writes it, up to where the answer begins; without a BOS that the tokenizer adds.
 * Errors: UNSUPPORTED (no template, one that does not render, no library), MEMORY. */
hw_err hw__chat_template_render(hw__written *out, const struct llama_model *model, const hw__chat *chat, hw_error *err);

#ifdef __cplusplus
}
#endif

#endif
