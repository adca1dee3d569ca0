/* model_stores.h - lists the models of each source. */
#ifndef HW_MODELS_MODEL_STORES_H
#define HW_MODELS_MODEL_STORES_H

#include "models/model_list.h"

/* Append the models of Hugging Face's cache, of Ollama, of LM Studio in `folder`; one that cannot be opened too, with
 * the reason. */
void model_list_hub(model_list *out, const char *folder);
void model_list_ollama(model_list *out, const char *folder);
void model_list_lmstudio(model_list *out, const char *folder);

/* "-00002-of-00003.gguf" at the end of a path: part 2 of 3. */
enum { MODEL_PART_LENGTH = 20 };
bool model_file_part(int *part, int *n_parts, const char *path);
/* Appends a file of a repository under the tag that its name gives; NULL if it is not a model's, or when memory runs
 * out. */
model_entry *model_list_add_file(model_list *list, const char *repo, const char *below);

#endif
