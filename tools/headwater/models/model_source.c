/* model_source.c - the table of sources, and how a name is found in it. */
#include "models/model_source.h"

#include "base/error.h"
#include "base/strlist.h"
#include "models/model_stores.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

/* Folders of the hub's cache in the order of llama.cpp's common/hf-cache.cpp. */
static const model_source sources[] = {
    {.prefix = "hf",
     .title = "Hugging Face cache",
     .form = "OWNER/REPO[:QUANT]",
     .folders = {{"LLAMA_CACHE", "", true},
                 {"HF_HUB_CACHE", "", true},
                 {"HUGGINGFACE_HUB_CACHE", "", true},
                 {"HF_HOME", "/hub", true},
                 {"XDG_CACHE_HOME", "/huggingface/hub", true},
                 {"HOME", "/.cache/huggingface/hub", true}},
     .usual = {"Q4_K_M", "Q8_0"},
     .quantisations = true,
     .hub = true,
     .list = model_list_hub},
    {.prefix = "ollama",
     .title = "Ollama",
     .form = "NAME[:TAG]",
     .folders = {{"OLLAMA_MODELS", "", true},
                 {"HOME", "/.ollama/models", false},
                 {NULL, "/usr/share/ollama/.ollama/models", false}},
     .usual = {"latest"},
     .list = model_list_ollama},
    {.prefix = "lmstudio",
     .title = "LM Studio",
     .form = "PUBLISHER/MODEL[:QUANT]",
     .folders = {{"HOME", "/.lmstudio/models", false}, {"HOME", "/.cache/lm-studio/models", false}},
     .usual = {"Q4_K_M", "Q8_0"},
     .quantisations = true,
     .list = model_list_lmstudio},
};

const model_source *model_source_at(size_t i) { return i < sizeof sources / sizeof *sources ? &sources[i] : NULL; }

/* ------------------------------------------------------------------ lists */

static const char *value_of(const char *variable) {
    const char *value = getenv(variable);
    if (value && *value) return value;
    if (strcmp(variable, "HOME") != 0) return NULL;
    const struct passwd *user = getpwuid(getuid());
    return user && user->pw_dir && *user->pw_dir ? user->pw_dir : NULL;
}

/* The folders, existing or not. */
static size_t name_folders(const model_source *s, char paths[MODEL_MAX_FOLDERS][MODEL_PATH_CAPACITY]) {
    size_t n = 0;
    for (const model_folder *f = s->folders; f->tail && n < MODEL_MAX_FOLDERS; f++) {
        const char *base = f->variable ? value_of(f->variable) : "";
        if (!base) continue;
        int length = snprintf(paths[n], MODEL_PATH_CAPACITY, "%s%s", base, f->tail);
        if (length < MODEL_PATH_CAPACITY) n++;
        if (f->last) break;
    }
    return n;
}

bool model_source_folder(char path[MODEL_PATH_CAPACITY], const model_source *s) {
    char paths[MODEL_MAX_FOLDERS][MODEL_PATH_CAPACITY];
    if (name_folders(s, paths) == 0) return false;
    memcpy(path, paths[0], MODEL_PATH_CAPACITY);
    return true;
}

static bool is_folder(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

size_t model_source_folders(const model_source *s, char paths[MODEL_MAX_FOLDERS][MODEL_PATH_CAPACITY]) {
    size_t n = 0, n_named = name_folders(s, paths);
    for (size_t i = 0; i < n_named; i++) {
        if (!is_folder(paths[i])) continue;
        if (n != i) memcpy(paths[n], paths[i], MODEL_PATH_CAPACITY);
        n++;
    }
    return n;
}

model_list model_source_list(const model_source *s) {
    char paths[MODEL_MAX_FOLDERS][MODEL_PATH_CAPACITY];
    model_list list = {.at = NULL};
    size_t n = model_source_folders(s, paths);
    for (size_t i = 0; i < n; i++) s->list(&list, paths[i]);
    return list;
}

/* ------------------------------------------------------------------ names */

const model_source *model_name_split(char *repo, char *tag, size_t capacity, const char *name) {
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        size_t n = strlen(sources[i].prefix);
        if (strncmp(name, sources[i].prefix, n) != 0 || name[n] != ':') continue;
        const char *rest = name + n + 1, *colon = strrchr(rest, ':');
        snprintf(repo, capacity, "%.*s", (int)(colon ? colon - rest : (long)strlen(rest)), rest);
        snprintf(tag, capacity, "%s", colon ? colon + 1 : "");
        return &sources[i];
    }
    return NULL;
}

/* Whether a file's name has the quantisation, as llama.cpp's common/download.cpp finds it: before a dot or a dash. */
static bool has_quantisation(const char *file, const char *tag) {
    size_t n = strlen(tag);
    for (; n && *file; file++)
        if (strncasecmp(file, tag, n) == 0 && (file[n] == '.' || file[n] == '-')) return true;
    return false;
}

static bool tag_equals(const model_entry *e, const char *tag) { return strcasecmp(e->tag, tag) == 0; }
static bool file_equals(const model_entry *e, const char *tag) { return strcmp(e->file, tag) == 0; }
static bool file_has(const model_entry *e, const char *tag) { return has_quantisation(e->file, tag); }

/* The entry of the repository with the tag; NULL: none. */
static const model_entry *find_tag(const model_source *s, const model_list *list, const char *repo, const char *tag) {
    bool (*const fits[])(const model_entry *, const char *) = {tag_equals, file_equals, file_has};
    for (size_t k = 0; k < (s->quantisations ? 3 : 1); k++)
        for (size_t i = 0; i < list->n; i++)
            if (strcmp(list->at[i].repo, repo) == 0 && fits[k](&list->at[i], tag)) return &list->at[i];
    return NULL;
}

typedef struct search {
    const model_source *source;
    const model_list *list;
    const char *repo;
} search;

static const char *tag_at(size_t i, const void *ctx) {
    const search *s = ctx;
    return strcmp(s->list->at[i].repo, s->repo) == 0 ? s->list->at[i].tag : NULL;
}

static const char *repo_at(size_t i, const void *ctx) { return ((const search *)ctx)->list->at[i].repo; }

static hw_err refuse_repo(const search *s, hw_error *err) {
    char paths[MODEL_MAX_FOLDERS][MODEL_PATH_CAPACITY], where[400];
    const char *pointers[MODEL_MAX_FOLDERS];
    const char *prefix = s->source->prefix;
    size_t n = name_folders(s->source, paths);
    for (size_t i = 0; i < n; i++) pointers[i] = paths[i];
    hw__join_names_by(where, sizeof where, hw__names_of(pointers, n), ", ", " or ");
    const char *near = hw__nearest_name(s->repo, (hw__names){repo_at, s, s->list->n});
    if (near)
        return hw__fail(err, HW_ERR_ARGUMENT, "%s:%s: there is no such model in %s; did you mean %s:%s?", prefix,
                        s->repo, where, prefix, near);
    return hw__fail(err, HW_ERR_ARGUMENT,
                    "%s:%s: there is no such model in %s; `headwater models` lists what is there%s", prefix, s->repo,
                    where, s->source->hub ? ", --download fetches it" : "");
}

/* The entry that is meant; NULL with the reason in err. */
static const model_entry *choose(const search *s, const char *tag, hw_error *err) {
    const model_entry *first = NULL, *found = NULL;
    size_t n = 0;
    for (size_t i = 0; i < s->list->n; i++) {
        if (strcmp(s->list->at[i].repo, s->repo) != 0) continue;
        if (n++ == 0) first = &s->list->at[i];
    }
    if (!first) {
        refuse_repo(s, err);
        return NULL;
    }
    if (*tag) found = find_tag(s->source, s->list, s->repo, tag);
    for (const char *const *usual = s->source->usual; !*tag && !found && *usual; usual++)
        found = find_tag(s->source, s->list, s->repo, *usual);
    if (!found && !*tag && (n == 1 || s->source->quantisations)) found = first;
    if (found) return found;
    char tags[500];
    hw__join_names(tags, sizeof tags, (hw__names){tag_at, s, s->list->n});
    if (*tag)
        hw__fail(err, HW_ERR_ARGUMENT, "%s:%s has no \"%s\"; there are %s", s->source->prefix, s->repo, tag, tags);
    else
        hw__fail(err, HW_ERR_ARGUMENT, "%s:%s has several tags: give one of them, as in %s:%s:%s; there are %s",
                 s->source->prefix, s->repo, s->source->prefix, s->repo, first->tag, tags);
    return NULL;
}

hw_err model_choose(const model_entry **out, const model_source *source, const model_list *list, const char *repo,
                    const char *tag, hw_error *err) {
    const search s = {source, list, repo};
    const model_entry *found = choose(&s, tag, err);
    if (!found) return HW_ERR_ARGUMENT;
    *out = found;
    return HW_OK;
}

static hw_err resolve_in(const model_source *source, char *path, size_t capacity, const char *repo, const char *tag,
                         hw_error *err) {
    const char *prefix = source->prefix;
    if (!*repo)
        return hw__fail(err, HW_ERR_ARGUMENT, "%s: names no model: must be %s:%s", prefix, prefix, source->form);
    model_list list = model_source_list(source);
    const model_entry *e = NULL;
    hw_err rc = list.out_of_memory ? hw__fail_memory(err, "the list of models", list.n, sizeof *list.at)
                                   : model_choose(&e, source, &list, repo, tag, err);
    if (e && *e->problem)
        rc = hw__fail(err, HW_ERR_IO, "%s:%s:%s: %s", prefix, e->repo, e->tag, e->problem);
    else if (e && snprintf(path, capacity, "%s", e->path) >= (int)capacity)
        rc = hw__fail(err, HW_ERR_IO, "%s: a path of more than %zu bytes", e->path, capacity - 1);
    else if (e)
        rc = HW_OK;
    model_list_free(&list);
    return rc;
}

/* Names the source that has a model which was named without its prefix. */
static hw_err check_path(const char *name, hw_error *err) {
    char repo[MODEL_PATH_CAPACITY];
    if (access(name, F_OK) == 0) return HW_OK;
    snprintf(repo, sizeof repo, "%.*s", (int)strcspn(name, ":"), name);
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        model_list list = model_source_list(&sources[i]);
        bool there = false;
        for (size_t k = 0; k < list.n; k++) there = there || strcmp(list.at[k].repo, repo) == 0;
        model_list_free(&list);
        if (there)
            return hw__fail(err, HW_ERR_ARGUMENT, "%s: there is no such file; did you mean %s:%s?", name,
                            sources[i].prefix, name);
    }
    return HW_OK; /* opening it gives the reason */
}

hw_err model_resolve(char *path, size_t capacity, const char *name, hw_error *err) {
    char repo[MODEL_PATH_CAPACITY], tag[MODEL_PATH_CAPACITY];
    const model_source *source = model_name_split(repo, tag, sizeof repo, name);
    if (source) return resolve_in(source, path, capacity, repo, tag, err);
    if (snprintf(path, capacity, "%s", name) >= (int)capacity)
        return hw__fail(err, HW_ERR_ARGUMENT, "a path of more than %zu bytes", capacity - 1);
    return check_path(name, err);
}
