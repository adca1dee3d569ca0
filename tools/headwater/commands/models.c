/* models.c - `headwater models`: lists the models that other programs keep on this machine. */
#include "base/child_work.h"
#include "base/error.h"
#include "base/json.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/message.h"
#include "cli/safe_text.h"
#include "job/open_model.h"
#include "models/model_source.h"

#include <stdlib.h>
#include <string.h>

static const char command_name[] = "models";
enum { NAME_CAPACITY = 600, MAX_NAME_WIDTH = 56 };

/* An entry with what its file says. */
typedef struct found_model {
    const model_entry *entry;
    hw_model_file file;
    char name[NAME_CAPACITY];
} found_model;

static hw_err read_headers(char **bytes, size_t *n, void *path, hw_error *err) {
    hw_model_file *file = malloc(sizeof *file);
    if (!file) return hw__fail_memory(err, "a model's headers", 1, sizeof *file);
    hw_err rc = hw_model_file_read(file, sizeof *file, path, err);
    if (rc != HW_OK) {
        free(file);
        return rc;
    }
    *bytes = (char *)file;
    *n = sizeof *file;
    return HW_OK;
}

/* In a process of its own: a file that crashes the engine, hangs or takes all memory is one line of the list. */
static hw_err read_apart(hw_model_file *out, const char *path, hw_error *err) {
    const hw__child_limits limits = {.what = "its headers cannot be read",
                                     .seconds = 30,
                                     .memory = (size_t)4 << 30,
                                     .output = sizeof *out,
                                     .stop = interrupt_stop};
    char *bytes;
    size_t n;
    hw_err rc = hw__child_work(&bytes, &n, &limits, read_headers, (void *)path, err);
    if (rc != HW_OK) return rc;
    memcpy(out, bytes, n);
    free(bytes);
    return HW_OK;
}

static void describe(found_model *to, const model_source *s, const model_entry *e) {
    hw_error err;
    *to = (found_model){.entry = e};
    snprintf(to->name, sizeof to->name, "%s:%s:%s", s->prefix, e->repo, e->tag);
    if (*e->problem) {
        snprintf(to->file.problem, sizeof to->file.problem, "%.511s", e->problem);
    } else if (read_apart(&to->file, e->path, &err) != HW_OK) {
        to->file = (hw_model_file){.problem = ""};
        snprintf(to->file.problem, sizeof to->file.problem, "%.511s", err.msg);
    }
}

/* ------------------------------------------------------------------ text */

static void put_padded(const char *text, int width) {
    text_puts(stdout, text);
    printf("%*s", (int)strlen(text) < width ? width - (int)strlen(text) : 0, "");
}

/* 4683073184 bytes as "4.7 GB" */
static void put_size(uint64_t n_bytes) {
    double megabytes = (double)n_bytes / 1e6;
    if (n_bytes == 0)
        printf("  %8s", "");
    else if (megabytes >= 1000)
        printf("  %5.1f GB", megabytes / 1000);
    else
        printf("  %5.1f MB", megabytes);
}

static void put_model(const found_model *m, int width) {
    printf("  ");
    put_padded(m->name, width);
    put_size(m->file.n_bytes);
    printf("  ");
    put_padded(m->file.architecture, 12);
    printf("  ");
    put_padded(m->file.quantisation, 16);
    printf("  %s", *m->file.problem ? "no: " : "yes");
    text_puts(stdout, m->file.problem);
    putchar('\n');
}

static void put_source(const model_source *s, const found_model *models, size_t n) {
    char paths[MODEL_MAX_FOLDERS][MODEL_PATH_CAPACITY];
    size_t n_folders = model_source_folders(s, paths);
    int width = 0;
    printf("%s", s->title);
    for (size_t i = 0; i < n_folders; i++) {
        fputs(i ? ", " : ": ", stdout);
        text_puts(stdout, paths[i]);
    }
    puts(n_folders ? n ? "" : ": no models" : ": no folder");
    for (size_t i = 0; i < n; i++) {
        int length = (int)strlen(models[i].name);
        if (length > width && length <= MAX_NAME_WIDTH) width = length;
    }
    for (size_t i = 0; i < n; i++) put_model(&models[i], width);
}

/* ------------------------------------------------------------------ JSON */

static json_t *text_json(const char *text) { return hw__json_replaced(text, strlen(text)); }

static json_t *model_json(const model_source *s, const found_model *m) {
    json_t *json = hw__json_set(json_object(), "name", text_json(m->name));
    json = hw__json_set(json, "source", json_string(s->prefix));
    json = hw__json_set(json, "path", text_json(m->entry->path));
    json = hw__json_set(json, "bytes", json_integer((json_int_t)m->file.n_bytes));
    json = hw__json_set(json, "parameters", json_integer((json_int_t)m->file.n_params));
    json = hw__json_set(json, "files", json_integer(m->file.n_files));
    json = hw__json_set(json, "architecture", text_json(m->file.architecture));
    json = hw__json_set(json, "quantisation", text_json(m->file.quantisation));
    return hw__json_set(json, "problem", text_json(m->file.problem));
}

/* ------------------------------------------------------------------ */

/* Prints one source, or appends its models to *json. */
static bool list_source(const model_source *s, bool as_json, json_t **json) {
    model_list list = model_source_list(s);
    found_model *models = calloc(list.n ? list.n : 1, sizeof *models);
    bool ok = models && !list.out_of_memory;
    for (size_t i = 0; ok && i < list.n && !interrupt_seen(); i++) describe(&models[i], s, &list.at[i]);
    for (size_t i = 0; ok && as_json && i < list.n; i++) *json = hw__json_append(*json, model_json(s, &models[i]));
    if (ok && !as_json && !interrupt_seen()) put_source(s, models, list.n);
    free(models);
    model_list_free(&list);
    return ok;
}

static hw_err run(const options *o, hw_error *err) {
    if (o->arguments.n) return usage_error(err, "\"%s\": it takes no arguments", o->arguments.at[0]);
    json_t *json = json_array();
    char *text = NULL;
    bool ok = true;
    engine_log(o);
    interrupt_catch();
    for (size_t i = 0; ok && !interrupt_seen() && model_source_at(i); i++)
        ok = list_source(model_source_at(i), o->json, &json);
    if (interrupt_seen()) {
        json_decref(json);
        return (hw_err)ERR_INTERRUPTED;
    }
    if (ok && o->json) {
        text = json ? hw__json_dump(json, JSON_INDENT(2)) : NULL;
        if (text) puts(text);
        ok = text != NULL;
    }
    free(text);
    json_decref(json);
    if (!ok) return hw__fail(err, HW_ERR_MEMORY, "no memory for the list of models");
    if (!o->quiet && !o->json)
        message("yes and no are by the files' headers; `headwater info -m NAME` loads a model and verifies what can be "
                "explained");
    return HW_OK;
}

static const char *const usage[] = {"[--json]", NULL};
static const example examples[] = {
    {"what is on this machine?", "headwater models"},
    {"explain with one of them", "headwater explain -m ollama:llama3.2:1b -p \"My name is Abdul, I am from\""},
    {NULL, NULL},
};

const command command_models = {
    .name = command_name,
    .bit = IN_MODELS,
    .summary = "list the models that other programs keep on this machine, by the names that -m takes",
    .usage = usage,
    .about =
        "Lists the GGUF models in Hugging Face's cache (as llama.cpp uses it), of Ollama and of LM Studio: the name "
        "that -m takes, size, architecture, quantisation, and whether it can be explained, as far as the file's "
        "headers show. Nothing is loaded and nothing downloaded: `-m hf:... --download` fetches a model. Each file is "
        "read in a process of its own.",
    .examples = examples,
    .run = run,
};
