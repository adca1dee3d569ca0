/* model_stores.h - lists the models of each source. */
#ifndef HW_MODELS_MODEL_STORES_H
#define HW_MODELS_MODEL_STORES_H

#include "models/model_list.h"

/* Append the models of Hugging Face's cache, of Ollama, of LM Studio in `folder`; one that cannot be opened too, with
 * the reason. */
void model_list_hub(model_list *out, const char *folder);
void model_list_ollama(model_list *out, const char *folder);
void model_list_lmstudio(model_list *out, const char *folder);

#endif
