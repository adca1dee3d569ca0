/*
 * chat_template.h - chat templates, rendered by llama.cpp's own engine for Jinja (its library llama-common).
 *
 * That library is optional and C++: libheadwater-templates.so links it (template_module.cpp), which is opened at the first
 * conversation, from libheadwater's folder or the folder "headwater" in it. Without it the error says what is missing.
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

/* What the module exports; *bytes [n] is malloc'd, with a terminator behind. */
#define HW__TEMPLATE_MODULE "libheadwater-templates.so"
#define HW__TEMPLATE_FUNCTION "headwater_render_template"
hw_err headwater_render_template(char **bytes, size_t *n, const struct llama_model *model, const hw__chat *chat,
                                 hw_error *err);

#ifdef __cplusplus
}
#endif

#endif
