/*
 * model_list.h - a list of models, on this machine or on a hub.
 */
#ifndef HW_MODELS_MODEL_LIST_H
#define HW_MODELS_MODEL_LIST_H

#include "headwater.h"

enum { MODEL_PATH_CAPACITY = 4096 };

/* A model of a source (model_source.h); its name is PREFIX:REPO:TAG. */
typedef struct model_entry {
    char repo[256]; /* "owner/name" */
    char tag[256];  /* quantisation, or the file where that does not tell two apart; of Ollama the tag */
    char file[512]; /* below the folder of the repository; in Ollama the tree of manifests */
    char path[MODEL_PATH_CAPACITY]; /* the model's first file; "" if none is named */
    char problem[768];              /* "", or why it cannot be opened, with the remedy */
} model_entry;

typedef struct model_list {
    model_entry *at; /* [n] */
    size_t n, capacity;
    bool out_of_memory; /* entries are missing */
} model_list;
void model_list_free(model_list *list);
/* Appends an empty entry; NULL when memory runs out. */
model_entry *model_list_add(model_list *list);

#endif
