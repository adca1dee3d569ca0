/*
 * cmd_eval.c - `headwater eval`: measures the methods over a data set; merges and tabulates existing results.
 *
 *     data set -> model -> one result line per item, appended as it finishes -> table
 *
 * Errors in the command line or the data set are reported before the model loads.
 */
#include "base/error.h"
#include "base/sha256.h"
#include "cli/clock.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/message.h"
#include "cli/safe_text.h"
#include "eval/measure_item.h"
#include "eval/merge.h"
#include "eval/results_file.h"
#include "eval/summary_table.h"
#include "job/conversation.h"
#include "job/open_model.h"
#include "job/output_files.h"
#include "job/prompt_split.h"

#include <stdlib.h>
#include <string.h>

static const char command_name[] = "eval";

/* One run of the command. */
typedef struct session {
    const options *o;
    eval_set set;
    variants methods;
    eval_plan plan;
    conversation chat; /* a template from a file */
    eval_log log;
    json_t *settings; /* the settings that results depend on, stored in each line */
    eval_part part;
    size_t n_todo, n_done, n_failed; /* in this run: items to measure, items measured, items with an error */
    double began;
} session;

/* ------------------------------------------------------------------ what is asked */

/* "2/4" is the second of four shards. */
static hw_err read_shard(session *s, hw_error *err) {
    char rest;
    unsigned shard = 1, n_shards = 1;
    const char *text = s->o->shard;
    if (text && (text[strspn(text, "0123456789/")] || sscanf(text, "%5u/%5u%c", &shard, &n_shards, &rest) != 2 ||
                 shard < 1 || shard > n_shards))
        return usage_error(err, "--shard \"%s\": must be I/K, the I-th of K parts, I from 1 to K", text);
    s->part = (eval_part){shard - 1, n_shards};
    return HW_OK;
}

static bool is_todo(const session *s, const eval_item *item) {
    return eval_part_has(&s->part, item->index) && !eval_log_has(&s->log, item->id);
}

static hw_err check_options(session *s, const char **model, hw_error *err) {
    const options *o = s->o;
    if (o->arguments.n != 1)
        return usage_error(err, "name one data set; %zu were given%s", o->arguments.n,
                           o->arguments.n ? " (a table of result files is --table)" : "");
    hw_err rc = read_shard(s, err);
    if (rc == HW_OK) rc = variants_read(&s->methods, o->method, err);
    if (rc == HW_OK) rc = prompt_split_read(&(prompt_split){0}, o, NULL, err); /* error for an unknown segmenter */
    if (rc == HW_OK) rc = model_path(model, o, err);
    if (rc != HW_OK) return rc;
    const char *const inputs[] = {o->arguments.at[0], *model, o->chat_template};
    rc = o->results ? output_check_path(o->results, inputs, 3, err) : HW_OK;
    return rc == HW_OK ? conversation_read(&s->chat, o, NULL, err) : rc;
}

/* Adds what differs from the defaults, so that settings of plain prompts equal those of earlier result files. */
static bool add_chat_settings(json_t *settings, const hw_run_params *run) {
    char digest[HW__SHA256_CAPACITY] = "";
    if (run->chat_template) {
        hw__sha256 hash;
        hw__sha256_begin(&hash);
        hw__sha256_add(&hash, run->chat_template, strlen(run->chat_template));
        hw__sha256_hex(&hash, digest);
    }
    return (!run->chat || json_object_set_new(settings, "chat", json_true()) == 0) &&
           (!run->against || json_object_set_new(settings, "against", json_string(run->against)) == 0) &&
           (!run->special || json_object_set_new(settings, "special", json_true()) == 0) &&
           (!*digest || json_object_set_new(settings, "chat_template_sha256", json_string(digest)) == 0) &&
           (run->thinking == HW_THINKING_DEFAULT ||
            json_object_set_new(settings, "thinking", json_string(hw_thinking_name(run->thinking))) == 0);
}

static hw_err make_settings(session *s, hw_error *err) {
    const options *o = s->o;
    const hw_model_info *m = hw_model_describe(s->plan.model);
    s->settings =
        json_pack("{s:{s:s, s:s, s:s, s:s}, s:s, s:s, s:I, s:I, s:I}", "model", "name", m->name, "quantisation",
                  m->quantisation, "metadata_sha256", m->metadata_sha256, "sample_sha256", m->sample_sha256, "methods",
                  o->method, "by", o->by ? o->by : "spans", "ablations", (json_int_t)o->ablations, "seed",
                  (json_int_t)o->run.seed, "generate", (json_int_t)o->run.n_generate);
    bool ok = s->settings && add_chat_settings(s->settings, &s->plan.run) &&
              (!s->plan.rewrite || json_object_set_new(s->settings, "rewrite", json_true()) == 0);
    return ok ? HW_OK : hw__fail(err, HW_ERR_MEMORY, "no memory for the results");
}

/* ------------------------------------------------------------------ progress */

/* "eval ######....  12/100  3:05 left" */
static void show_progress(const session *s) {
    if (s->o->quiet || s->o->verbose || !terminal_has_live_stderr()) return;
    fprintf(stderr, "\reval ");
    terminal_bar(stderr, s->n_todo ? (double)s->n_done / (double)s->n_todo : 1, 24);
    fprintf(stderr, " %zu/%zu", s->n_done, s->n_todo);
    if (s->n_done) {
        double left = (clock_seconds() - s->began) / (double)s->n_done * (double)(s->n_todo - s->n_done);
        fprintf(stderr, "  %d:%02d left", (int)(left / 60), (int)left % 60);
    }
    fputs("\033[K", stderr);
}

static void erase_progress(const session *s) {
    if (!s->o->quiet && !s->o->verbose && terminal_has_live_stderr()) fputs("\r\033[K", stderr);
}

/* ------------------------------------------------------------------ the items */

/* A result line: the item's name, then the measurements, or the error. Takes `result`; NULL for an error. */
static json_t *make_line(const session *s, const eval_item *item, json_t *result, const hw_error *err) {
    json_t *line =
        json_pack("{s:s, s:I, s:s}", "id", item->id, "index", (json_int_t)item->index, "item_sha256", item->sha256);
    bool ok = line && (!item->tags || json_object_set(line, "tags", (json_t *)item->tags) == 0);
    ok = ok &&
         (result ? json_object_update(line, result) : json_object_set_new(line, "error", json_string(err->msg))) == 0;
    ok = ok && json_object_set(line, "settings", s->settings) == 0;
    json_decref(result);
    if (ok) return line;
    json_decref(line);
    return NULL;
}

/* Reports which methods failed for an item that has a result. */
static void report_failed_methods(session *s, const eval_item *item, const json_t *result) {
    size_t i, n = 0;
    json_t *of;
    json_array_foreach(json_object_get(result, "methods"), i, of) {
        const char *why = json_string_value(json_object_get(of, "error"));
        if (!why) continue;
        if (!n++) erase_progress(s);
        message("%s: no %s: %s", item->id, json_string_value(json_object_get(of, "method")), why);
    }
    s->n_failed += n > 0;
}

/* What is said of its texts: bytes that are no characters, control tokens read as text, and the like. */
static void report_remarks(session *s, const eval_item *item, const json_t *result) {
    size_t i;
    json_t *remark;
    json_array_foreach(s->o->quiet ? NULL : json_object_get(result, "remarks"), i, remark) {
        if (i == 0) erase_progress(s);
        message("%s: %s", item->id, json_string_value(remark));
    }
}

static hw_err measure(session *s, const eval_item *item, hw_error *err) {
    json_t *result = NULL;
    hw_err rc = eval_run(&result, &s->plan, item, err);
    if (error_ends_run(rc)) return rc;
    if (rc != HW_OK) {
        erase_progress(s);
        message("%s: %s", item->id, err->msg);
        s->n_failed++;
    }
    report_remarks(s, item, result);
    report_failed_methods(s, item, result);
    s->n_done++;
    return eval_log_add(&s->log, make_line(s, item, result, err), err);
}

static hw_err report_interrupted(const session *s) {
    if (s->log.path) {
        message("interrupted: %s holds %zu results; the same command goes on from there", s->log.path,
                json_array_size(s->log.lines));
    } else {
        message("interrupted: the results are lost; with -o FILE they are kept");
    }
    return (hw_err)ERR_INTERRUPTED;
}

static hw_err measure_all(session *s, hw_error *err) {
    hw_err rc = HW_OK;
    for (size_t i = 0; i < s->set.n; i++) s->n_todo += is_todo(s, &s->set.at[i]);
    s->began = clock_seconds();
    for (size_t i = 0; i < s->set.n && rc == HW_OK; i++) {
        if (!is_todo(s, &s->set.at[i])) continue;
        if (interrupt_seen()) rc = HW_ERR_CANCELLED;
        show_progress(s);
        if (rc == HW_OK) rc = measure(s, &s->set.at[i], err);
    }
    erase_progress(s);
    return rc == HW_ERR_CANCELLED ? report_interrupted(s) : rc;
}

/* ------------------------------------------------------------------ the command */

static hw_err print_table(const options *o, const json_t *lines, const eval_format *format, hw_error *err) {
    eval_table table;
    hw_err rc = eval_table_new(&table, lines, o->group_by, o->run.seed, err);
    if (rc == HW_OK && !format->print(stdout, &table))
        rc = hw__fail(err, HW_ERR_IO, "the table could not be written as %s", format->name);
    eval_table_free(&table);
    return rc;
}

static hw_err run_set(session *s, const eval_format *format, hw_error *err) {
    hw_err rc = make_settings(s, err);
    if (rc == HW_OK) rc = eval_log_open(&s->log, s->o->results, &s->set, s->settings, err);
    if (rc == HW_OK) rc = measure_all(s, err);
    bool empty = json_array_size(s->log.lines) == 0 && s->n_todo == 0; /* more shards than items: nothing is missing */
    if (rc == HW_OK && empty) message("shard %s holds none of the items", s->o->shard ? s->o->shard : "1/1");
    if (rc == HW_OK && !empty) rc = print_table(s->o, s->log.lines, format, err);
    eval_log_close(&s->log);
    json_decref(s->settings);
    if (rc == HW_OK && s->set.n_bad)
        rc = hw__fail(err, HW_ERR_FORMAT, "%zu line%s of the data set left out: see above", s->set.n_bad,
                      s->set.n_bad == 1 ? "" : "s");
    return rc == HW_OK && s->n_failed ? (hw_err)ERR_REPORTED : rc;
}

static hw_err open_model(session *s, const char *path, hw_error *err) {
    const options *o = s->o;
    progress bar = progress_new(!o->quiet && !o->verbose);
    interrupt_catch();
    hw_err rc = model_open(&s->plan.model, o, path, &bar, err);
    if (rc != HW_OK) return rc == HW_ERR_CANCELLED ? report_interrupted(s) : rc;
    s->plan.methods = &s->methods;
    s->plan.by = o->by;
    s->plan.run = o->run;
    s->plan.run.chat = conversation_is_chat(o);
    s->plan.run.chat_template = s->chat.template_source.bytes;
    s->plan.rewrite = o->rewrite;
    s->plan.n_ablations = (size_t)o->ablations;
    s->plan.seed = o->run.seed;
    s->plan.stop = interrupt_stop;
    return HW_OK;
}

static hw_err measure_set(const options *o, const eval_format *format, hw_error *err) {
    session s = {.o = o};
    const char *model = NULL;
    hw_err rc = check_options(&s, &model, err);
    if (rc == HW_OK) rc = eval_set_read(&s.set, o->arguments.at[0], (size_t)o->limit, &s.part, err);
    if (rc == HW_OK) rc = open_model(&s, model, err);
    if (rc == HW_OK) rc = run_set(&s, format, err);
    hw_model_close(s.plan.model);
    conversation_free(&s.chat);
    eval_set_free(&s.set);
    variants_free(&s.methods);
    return rc;
}

static hw_err table_files(const options *o, const eval_format *format, hw_error *err) {
    if (o->arguments.n == 0) return usage_error(err, "--table: name the result files");
    json_t *lines = json_array();
    hw_err rc = lines ? HW_OK : hw__fail(err, HW_ERR_MEMORY, "no memory for the results");
    for (size_t i = 0; i < o->arguments.n && rc == HW_OK; i++) rc = eval_log_read(lines, o->arguments.at[i], err);
    if (rc == HW_OK) rc = print_table(o, lines, format, err);
    json_decref(lines);
    return rc;
}

static hw_err merge_files(const options *o, hw_error *err) {
    eval_set set = {.n = 0};
    eval_merge merge = {.n_parts = 0};
    hw_err rc = eval_set_read(&set, o->arguments.at[0], (size_t)o->limit, &(eval_part){.n_shards = 0}, err);
    if (rc == HW_OK) rc = eval_merge_open(&merge, &set, o->arguments.at + 1, o->arguments.n - 1, err);
    if (rc == HW_OK) rc = eval_merge_save(&merge, o->results, err);
    if (rc == HW_OK) {
        size_t n_missing = eval_merge_n_missing(&merge), n_failed = eval_merge_n_failed(&merge);
        eval_merge_report(&merge);
        if (!o->quiet)
            message("%s holds %zu results of %zu file%s", o->results, set.n - n_missing - n_failed, merge.n_parts,
                    merge.n_parts == 1 ? "" : "s");
        if (n_missing || n_failed || merge.n_lost || set.n_bad) rc = (hw_err)ERR_REPORTED;
    }
    eval_merge_close(&merge);
    eval_set_free(&set);
    return rc;
}

static hw_err check_merge(const options *o, hw_error *err) {
    if (o->table) return usage_error(err, "--merge and --table: merge first, then --table of the merged file");
    if (o->arguments.n < 2) return usage_error(err, "--merge: name the data set, then its result files");
    if (!o->results) return usage_error(err, "--merge: name the file to write with -o");
    return output_check_path(o->results, o->arguments.at, o->arguments.n, err);
}

static hw_err run(const options *o, hw_error *err) {
    const eval_format *format = eval_format_find(o->format);
    if (!format) return usage_error(err, "--format \"%s\": must be text, csv or json", o->format);
    if (o->merge) {
        hw_err rc = check_merge(o, err);
        return rc == HW_OK ? merge_files(o, err) : rc;
    }
    return o->table ? table_files(o, format, err) : measure_set(o, format, err);
}

static const char *const usage[] = {"DATASET.jsonl -m MODEL [options]",
                                    "--merge DATASET.jsonl RESULTS.jsonl... -o ALL.jsonl",
                                    "--table RESULTS.jsonl... [options]", NULL};
static const example examples[] = {
    {"which method finds the evidence, and how much does the answer need what it names?",
     "headwater eval facts.jsonl -m model.gguf -o facts.results.jsonl"},
    {"the same in two halves, which two machines can do at once",
     "headwater eval facts.jsonl -m model.gguf --shard 1/2 -o half-1.jsonl"},
    {"put both together; says which items are missing", "headwater eval --merge facts.jsonl half-*.jsonl -o all.jsonl"},
    {"where in the prompt does each method find it?", "headwater eval --table all.jsonl --group-by position"},
    {"long prompts: evidence only, no further passes; a method with three settings",
     "headwater eval needle.jsonl -m model.gguf --ablations 0 --method rollout,rollout:last,rollout:residual=0.3"},
    {"prompts as messages of the user, in the model's own chat template",
     "headwater eval facts.jsonl -m model.gguf --chat"},
    {NULL, NULL},
};

const command command_eval = {
    .name = command_name,
    .bit = IN_EVAL,
    .summary = "measure methods over a data set",
    .usage = usage,
    .about = "Runs a model on every item of a data set, explains its answers by every method, and evaluates each "
             "explanation against the item's evidence and by running the model without its top segments. Items are "
             "JSON lines with \"prompt\" and, optionally, \"completion\", \"answer\", \"evidence\" and \"spans\". "
             "With -o each result is saved when it is complete; the same command later continues with missing and "
             "failed items. docs/research/faithfulness.md defines the figures, docs/guide/cluster.md describes "
             "distributed runs. Invalid lines are reported and skipped, and the exit status is then 1.",
    .examples = examples,
    .lists = LIST_METHODS,
    .run = run,
};
