/* results_file.c - result lines in a file: reads, checks and appends them. */
#include "eval/results_file.h"

#include "base/error.h"
#include "base/json.h"
#include "cli/input.h"
#include "cli/message.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const size_t DUMP = JSON_COMPACT | JSON_REAL_PRECISION(9);
static const size_t LOAD = JSON_REJECT_DUPLICATES;

/* ------------------------------------------------------------------ reading */

static bool is_result(const json_t *line) {
    return json_is_string(json_object_get(line, "id")) && json_is_integer(json_object_get(line, "index")) &&
           json_is_object(json_object_get(line, "settings"));
}

hw_err eval_log_scan(eval_rest *out, FILE *file, const char *path, eval_line_fn fn, void *user, hw_error *err) {
    char *text = NULL;
    size_t capacity = 0, number = 0;
    ssize_t n;
    hw_err rc = HW_OK;
    *out = (eval_rest){.n_others = 0};
    while (rc == HW_OK && (n = getline(&text, &capacity, file)) > 0) {
        out->torn = text[n - 1] != '\n';
        if (out->torn) break;
        number++;
        bool no_memory;
        eval_line line = {hw__json_read(text, (size_t)n, LOAD, &no_memory, NULL), out->whole, (size_t)n};
        out->whole += n;
        if (line.json && is_result(line.json)) {
            rc = fn(user, &line, err);
        } else if (no_memory) {
            rc = hw__fail(err, HW_ERR_MEMORY, "%s line %zu: no memory for it", path, number);
        } else {
            out->n_others++;
            message("%s line %zu is left out: it is not a result of eval", path, number);
        }
        json_decref(line.json);
    }
    free(text);
    if (rc == HW_OK && !out->torn && !feof(file))
        rc = hw__fail(err, HW_ERR_IO, "%s: it could not be read to its end", path);
    return rc;
}

static bool is_failure(const json_t *line) { return json_object_get(line, "error") != NULL; }

/* Removes an item's earlier failure, because it was measured again. */
static void drop_failure(json_t *lines, const char *id) {
    for (size_t i = json_array_size(lines); i-- > 0;) {
        const json_t *line = json_array_get(lines, i);
        if (!is_failure(line) || strcmp(json_string_value(json_object_get(line, "id")), id) != 0) continue;
        json_array_remove(lines, i);
        return;
    }
}

static bool start(eval_log *log, const char *path) {
    *log = (eval_log){.path = path, .lines = json_array(), .ids = json_object(), .failed = json_object()};
    return log->lines && log->ids && log->failed;
}

/* Adds a line, replacing an earlier failure of its item. */
static bool take_line(eval_log *log, json_t *line) {
    const char *id = json_string_value(json_object_get(line, "id"));
    if (!id) return false;
    if (json_object_get(log->failed, id)) drop_failure(log->lines, id);
    return json_object_set_new(is_failure(line) ? log->failed : log->ids, id, json_true()) == 0 &&
           json_array_append(log->lines, line) == 0;
}

static hw_err append_line(void *user, const eval_line *line, hw_error *err) {
    return take_line(user, line->json) ? HW_OK : hw__fail(err, HW_ERR_MEMORY, "no memory for the results");
}

hw_err eval_log_read(json_t *lines, const char *path, hw_error *err) {
    FILE *file = input_open(path);
    if (!file) return hw__fail(err, HW_ERR_IO, "results %s: %s", path, input_open_reason());
    eval_rest rest;
    eval_log own;
    hw_err rc = start(&own, path) ? eval_log_scan(&rest, file, path, append_line, &own, err)
                                  : hw__fail(err, HW_ERR_MEMORY, "no memory for the results");
    if (rc == HW_OK && json_array_extend(lines, own.lines) != 0)
        rc = hw__fail(err, HW_ERR_MEMORY, "no memory for the results");
    eval_log_close(&own);
    fclose(file);
    return rc;
}

/* ------------------------------------------------------------------ what lines were made of */

static const char sample[] = "sample_sha256";

/* Makes no copy, because lack of memory for a copy would look like a difference. */
static bool same_without_sample(const json_t *with, const json_t *without) {
    const char *key;
    json_t *value;
    if (!json_object_get(with, sample) || json_object_size(with) != json_object_size(without) + 1) return false;
    json_object_foreach((json_t *)with, key, value) {
        if (strcmp(key, sample) != 0 && !json_equal(value, json_object_get(without, key))) return false;
    }
    return true;
}

bool eval_setting_same(const json_t *a, const json_t *b) {
    return json_equal(a, b) || same_without_sample(a, b) || same_without_sample(b, a);
}

bool eval_settings_same(const json_t *a, const json_t *b) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)a, key, value) {
        if (!eval_setting_same(value, json_object_get(b, key))) return false;
    }
    return json_object_size(a) == json_object_size(b);
}

static bool has_sample(const json_t *settings) { return json_object_get(json_object_get(settings, "model"), sample); }

json_t *eval_settings_fuller(json_t *a, json_t *b) { return !has_sample(a) && has_sample(b) ? b : a; }

void eval_settings_differ(char *out, size_t capacity, const json_t *now, const json_t *old) {
    const char *key;
    json_t *value;
    snprintf(out, capacity, "other settings");
    json_object_foreach((json_t *)now, key, value) {
        json_t *before = json_object_get(old, key);
        if (eval_setting_same(before, value)) continue;
        char *was = before ? hw__json_dump(before, DUMP | JSON_ENCODE_ANY) : NULL;
        char *is = hw__json_dump(value, DUMP | JSON_ENCODE_ANY);
        snprintf(out, capacity, "%s %s, not %s", key, is ? is : "now", was ? was : "unset");
        free(was);
        free(is);
        return;
    }
}

/* The index is compared too, because it seeds the masks. Lines from versions before item hashes have no hash. */
bool eval_line_is_of(const json_t *line, const eval_item *item) {
    const char *sha256 = json_string_value(json_object_get(line, "item_sha256"));
    json_int_t index = json_integer_value(json_object_get(line, "index"));
    return (size_t)index == item->index && (!sha256 || strcmp(sha256, item->sha256) == 0);
}

/* ------------------------------------------------------------------ going on with a file */

static hw_err refuse_settings(const eval_log *log, const char *id, const json_t *was, const json_t *asked,
                              hw_error *err) {
    char how[400];
    eval_settings_differ(how, sizeof how, was, asked);
    return hw__fail(err, HW_ERR_ARGUMENT,
                    "%s: item %s was made with %s; results of other settings need a file of their own", log->path, id,
                    how);
}

/* All lines must be of the same set with the same settings. */
static hw_err check_lines(const eval_log *log, const eval_set *set, const json_t *settings, hw_error *err) {
    size_t i;
    json_t *line;
    json_array_foreach(log->lines, i, line) {
        const char *id = json_string_value(json_object_get(line, "id"));
        const json_t *was = json_object_get(line, "settings");
        const eval_item *item = eval_set_find(set, id);
        if (!eval_settings_same(was, settings)) return refuse_settings(log, id, was, settings, err);
        if (item && !eval_line_is_of(line, item))
            return hw__fail(
                err, HW_ERR_ARGUMENT,
                "%s: item %s was another one when it was measured; results of a data set that changed need a "
                "file of their own",
                log->path, id);
    }
    return HW_OK;
}

/* Only one run at a time writes a file, and none while it is read; the lock ends with the process. */
static bool lock(FILE *file, short type) {
    struct flock whole = {.l_type = type, .l_whence = SEEK_SET};
    return fcntl(fileno(file), F_SETLK, &whole) == 0 || (errno != EACCES && errno != EAGAIN);
}

bool eval_log_lock_shared(FILE *file) { return lock(file, F_RDLCK); }

static hw_err open_file(eval_log *log, hw_error *err) {
    int fd = open(log->path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600); /* answers may be private */
    log->file = fd >= 0 ? fdopen(fd, "a+b") : NULL;
    if (!log->file && fd >= 0) close(fd);
    if (!log->file) return hw__fail(err, HW_ERR_IO, "results %s: %s", log->path, strerror(errno));
    if (!lock(log->file, F_WRLCK))
        return hw__fail(err, HW_ERR_IO, "results %s: another run is writing them", log->path);
    rewind(log->file);
    eval_rest rest;
    hw_err rc = eval_log_scan(&rest, log->file, log->path, append_line, log, err);
    bool at_end = fseeko(log->file, 0, SEEK_END) == 0; /* switches from reading to writing */
    if (rc == HW_OK && !at_end) rc = hw__fail(err, HW_ERR_IO, "results %s: %s", log->path, strerror(errno));
    if (rc != HW_OK || !rest.torn) return rc;
    message("%s: its last line was torn and is made again", log->path);
    if (ftruncate(fileno(log->file), rest.whole) != 0)
        return hw__fail(err, HW_ERR_IO, "results %s: %s", log->path, strerror(errno));
    return HW_OK;
}

hw_err eval_log_open(eval_log *out, const char *path, const eval_set *set, const json_t *settings, hw_error *err) {
    if (!start(out, path)) return hw__fail(err, HW_ERR_MEMORY, "no memory for the results");
    hw_err rc = path ? open_file(out, err) : HW_OK;
    return rc == HW_OK ? check_lines(out, set, settings, err) : rc;
}

void eval_log_close(eval_log *log) {
    if (log->file) fclose(log->file); /* every line was flushed when it was added */
    json_decref(log->lines);
    json_decref(log->ids);
    json_decref(log->failed);
}

bool eval_log_has(const eval_log *log, const char *id) { return json_object_get(log->ids, id) != NULL; }

/* The table is made from the text, so that it is the same as one made later from the file. */
static bool keep(eval_log *log, const char *text) {
    bool no_memory;
    json_t *line = hw__json_read(text, strlen(text), LOAD, &no_memory, NULL);
    bool ok = take_line(log, line);
    json_decref(line);
    return ok;
}

hw_err eval_log_add(eval_log *log, json_t *line, hw_error *err) {
    char *text = line ? hw__json_dump(line, DUMP) : NULL;
    json_decref(line);
    bool kept = text && keep(log, text);
    bool written = kept;
    if (kept && log->file)
        written = fputs(text, log->file) >= 0 && putc('\n', log->file) != EOF && fflush(log->file) == 0;
    free(text);
    if (!kept) return hw__fail(err, HW_ERR_MEMORY, "no memory for a result");
    return written ? HW_OK : hw__fail(err, HW_ERR_IO, "results %s: %s", log->path, strerror(errno));
}
