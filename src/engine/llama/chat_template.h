/*
 * chat_template.h - chat templates, rendered by llama.cpp's own engine for Jinja (its library llama-common).
 *
 * That library is optional and C++: libheadwater-templates.so links it (template_module.cpp), and is opened for the
 * first conversation, from libheadwater's folder or the folder "headwater" in it. Without it the error names the
 * missing library.
 *
 * The folder engine/llama/: the engine that runs GGUF models, and with its folders the only one that includes headers
 * of libllama and ggml. It opens models, tokenizes, decodes and samples; file/ reads a model's files, device/ manages
 * the devices that compute, graph/ reads attention and contributions from the computation graph.
 */
#ifndef HW_ENGINE_LLAMA_CHAT_TEMPLATE_H
#define HW_ENGINE_LLAMA_CHAT_TEMPLATE_H

#ifdef __cplusplus
extern "C" {
#endif

#include "engine/engine.h"

struct llama_model;

/* Renders the conversation as llama.cpp's server does, up to the beginning of the answer; without a BOS that the
 * tokenizer adds. Errors: UNSUPPORTED (no template, a template that cannot be rendered, no library), MEMORY. */
hw_err hw__chat_template_render(hw__written *out, const struct llama_model *model, const hw__chat *chat, hw_error *err);

/* The module's export; *bytes [n] is malloc'd with a terminator appended. */
#define HW__TEMPLATE_MODULE   "libheadwater-templates.so"
#define HW__TEMPLATE_FUNCTION "headwater_render_template"
hw_err headwater_render_template(char **bytes, size_t *n, const struct llama_model *model, const hw__chat *chat,
                                 hw_error *err);

/* The module's other export, for the program: the address of llama.cpp's model hub. */
const char *headwater_model_endpoint(void);

#ifdef __cplusplus
}
#endif

#endif
