/* info.c - `headwater info`: describes a model, what the probe found in its attention, and which methods it
 * supports. */
#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/message.h"
#include "cli/safe_text.h"
#include "job/open_model.h"

#include <stdarg.h>

static const char command_name[] = "info";
enum { LABEL_WIDTH = 16 };

static void put_label(const char *name) { printf("%-*s", LABEL_WIDTH, name); }

/* Prints a line of text from the model's file. */
static void put_text(const char *name, const char *text) {
    put_label(name);
    text_puts(stdout, *text ? text : "unknown");
    putchar('\n');
}

static void put_line(const char *name, const char *fmt, ...) HW_PRINTF(2, 3);
static void put_line(const char *name, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    put_label(name);
    vprintf(fmt, args);
    va_end(args);
    putchar('\n');
}

/* 134515008 as "134.5 M" */
static void put_amount(const char *name, double v, const char *unit) {
    static const char prefixes[][2] = {"", "k", "M", "G", "T"};
    size_t i = 0;
    for (; v >= 1000 && i + 1 < sizeof prefixes / sizeof *prefixes; i++) v /= 1000;
    put_line(name, "%.*f %s%s", i ? 1 : 0, v, prefixes[i], unit);
}

static void put_model(const hw_model_info *m) {
    put_text("model", m->name);
    put_text("file", m->path);
    if (m->adapters[0]) put_text("adapters", m->adapters);
    put_text("architecture", m->architecture);
    put_text("quantisation", m->quantisation);
    put_amount("parameters", (double)m->n_params, "");
    put_amount("weights", (double)m->n_bytes, "B");
    put_line("context", "%d tokens in training", m->n_ctx_train);
    put_line("vocabulary", "%d tokens%s", m->n_vocab, m->adds_bos ? ", a BOS before every prompt" : ", no BOS");
}

/* A template is rendered when it is used, so rendering is tested here. */
static void put_template(hw_model *model) {
    hw_error err;
    if (!hw_model_describe(model)->has_chat_template) {
        put_line("chat template", "no");
    } else if (hw_model_check_chat(model, NULL, &err) == HW_OK) {
        put_line("chat template", "yes, it renders");
    } else {
        put_line("chat template", "yes, but %s", err.msg);
    }
}

/* Recurrent layers by kind, and whether they are read. */
static void put_recurrent(const hw_model_info *m) {
    int n[HW_N_SOURCE_KINDS] = {0};
    for (int32_t i = 0; i < m->n_sources; i++) n[m->sources[i].kind]++;
    for (int kind = HW_SOURCE_ATTENTION + 1; kind < HW_N_SOURCE_KINDS; kind++)
        if (n[kind]) put_line("recurrent", "%d %s", n[kind], hw_source_kind_name((hw_source_kind)kind));
    if (*m->recurrent_problem) put_line("recurrent", "not read: %s", m->recurrent_problem);
}

static void put_attention(const hw_model_info *m) {
    put_line("layers", "%d of %d have attention", m->n_layers, m->n_blocks);
    put_recurrent(m);
    put_line("heads", "%d, %d for keys and values", m->n_heads, m->n_heads_kv);
    put_line("hidden size", "%d", m->n_embd);
    if (m->n_swa) {
        put_line("sliding window", "%d tokens", m->n_swa);
    } else {
        put_line("sliding window", "none");
    }
    put_line("learned sinks", "%s", m->has_sinks ? "yes: rows sum to less than 1" : "none");
}

static void put_probe(const hw_model_info *m) {
    put_text("engine", m->engine);
    put_text("rows live on", m->device);
    if (*m->problem) {
        put_text("probe", m->problem);
    } else {
        put_line("probe", "rows sum to 1 within %.1e, %s", m->row_error,
                 m->host_rows ? "read in place" : "copied from the device");
    }
    for (size_t i = 0; i < hw_method_count(); i++) {
        const char *problem = hw_method_problem(hw_method_at(i), m);
        put_label(i ? "" : "methods");
        printf("%s: %s%s\n", hw_method_at(i)->name, *problem ? "no: " : "yes", problem);
    }
}

/* 16500000000 bytes in decimal GB, as memory is sold. */
static void put_device(const hw_device *d) {
    text_puts(stdout, d->name);
    fputs(": ", stdout);
    text_puts(stdout, d->description);
    if (d->n_bytes) printf(", %.1f GB, %.1f free", (double)d->n_bytes / 1e9, (double)d->n_bytes_free / 1e9);
    puts(!d->takes_blocks ? "" : d->host ? ", takes blocks" : ", takes blocks, rows are copied from it");
}

static hw_err put_devices(const options *o, hw_error *err) {
    hw_device_list *list;
    hw_err rc = hw_device_list_new(&list, o->rpc, err);
    if (rc != HW_OK) return rc;
    for (size_t i = 0; i < hw_device_list_count(list); i++) {
        put_label(i ? "" : "devices");
        put_device(hw_device_list_at(list, i));
    }
    hw_device_list_free(list);
    put_line("products", "%s", hw_blas());
    return HW_OK;
}

static hw_err put_all(const options *o, hw_model *model, hw_error *err) {
    const hw_model_info *m = hw_model_describe(model);
    put_model(m);
    put_template(model);
    put_attention(m);
    put_probe(m);
    return put_devices(o, err);
}

static hw_err run(const options *o, hw_error *err) {
    if (o->arguments.n) return usage_error(err, "\"%s\": the model is given with -m MODEL", o->arguments.at[0]);
    engine_log(o);
    const char *path;
    hw_err rc = model_find(&path, o, err);
    if (rc != HW_OK) return rc;
    if (!path) return put_devices(o, err);
    progress bar = progress_new(!o->quiet && !o->verbose);
    hw_model *model;
    interrupt_catch();
    rc = model_prove(&model, o, path, &bar, err);
    if (rc != HW_OK) return rc;
    rc = put_all(o, model, err);
    hw_model_close(model);
    return rc;
}

static const char *const usage[] = {"-m MODEL [options]", "[--rpc HOST:PORT,...]", NULL};
static const example examples[] = {
    {"can this model be explained, and how?", "headwater info -m model.gguf"},
    {"what could run it, here and on another machine?", "headwater info --rpc 192.168.1.7:50052"},
    {NULL, NULL},
};

const command command_info = {
    .name = command_name,
    .bit = IN_INFO,
    .summary = "describe a model and the methods that it supports",
    .usage = usage,
    .about = "Loads a model and prints its properties and which data the probe could read. For a model that cannot "
             "be explained it prints the reason. Without a model it lists the available devices.",
    .examples = examples,
    .run = run,
};
