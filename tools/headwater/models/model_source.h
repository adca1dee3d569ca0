/*
 * model_source.h - models where other programs keep them: one table of sources, each with its folders and how their
 * models are listed; a name is found in that list.
 *
 * Nothing is downloaded here (model_download.h does), and no file outside a source's folders is opened by what its
 * files say (links of the file system aside).
 */
#ifndef HW_MODELS_MODEL_SOURCE_H
#define HW_MODELS_MODEL_SOURCE_H

#include "models/model_list.h"

enum { MODEL_MAX_FOLDERS = 4 };

/* A folder: TAIL below the value of the variable, or TAIL alone. HOME is looked up where it is not set. */
typedef struct model_folder {
    const char *variable, *tail;
    bool last; /* if the variable is set, no other folder is used */
} model_folder;

typedef struct model_source {
    const char *prefix, *title, *form;
    model_folder folders[8]; /* the last entry is empty */
    const char *usual[3];    /* tags taken where none is given, in this order; the last entry is empty */
    bool hub;                /* its models can be downloaded */
    bool quantisations;      /* tags are quantisations: parts of file names; without one the first file is taken */
    void (*list)(model_list *out, const char *folder); /* appends what is there */
} model_source;

/* NULL past the end. */
const model_source *model_source_at(size_t i);
/* Paths of the source's folders that exist; returns their number. */
size_t model_source_folders(const model_source *s, char paths[MODEL_MAX_FOLDERS][MODEL_PATH_CAPACITY]);
/* The first of them, which may not exist; false if there is none. */
bool model_source_folder(char path[MODEL_PATH_CAPACITY], const model_source *s);
/* All entries of a source. */
model_list model_source_list(const model_source *s);

/* Splits "PREFIX:REPO[:TAG]": the source, NULL if it is the path of a file. *tag "" if none is given. */
const model_source *model_name_split(char *repo, char *tag, size_t capacity, const char *name);

/* *out <- the entry of a list that the name PREFIX:REPO[:TAG] of a source means. Errors: ARGUMENT (unknown or
 * ambiguous, with what there is). */
hw_err model_choose(const model_entry **out, const model_source *source, const model_list *list, const char *repo,
                    const char *tag, hw_error *err);

/* Path of the model that `name` means: a path, or the name of a source's model. Errors: ARGUMENT (unknown or ambiguous
 * name, with what there is), IO (an entry that cannot be opened, with the remedy), MEMORY. */
hw_err model_resolve(char *path, size_t capacity, const char *name, hw_error *err);

#endif
