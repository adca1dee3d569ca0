/* merge.c - records the position of each item's result, then copies the results in order. */
#include "eval/merge.h"

#include "base/atomic_file.h"
#include "base/error.h"
#include "cli/input.h"
#include "cli/message.h"
#include "eval/results_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ------------------------------------------------------------------ reading */

/* A file being read. */
typedef struct reading {
    eval_merge *merge;
    size_t part;
} reading;

static void take_settings(eval_merge *m, size_t part, json_t *settings) {
    json_incref(settings);
    json_decref(m->settings);
    m->settings = settings;
    m->first = part;
}

static hw_err check_settings(eval_merge *m, size_t part, const char *id, json_t *settings, hw_error *err) {
    if (!m->settings) take_settings(m, part, settings);
    if (eval_settings_same(settings, m->settings)) {
        if (eval_settings_fuller(m->settings, settings) != m->settings) take_settings(m, part, settings);
        return HW_OK;
    }
    char how[400];
    eval_settings_differ(how, sizeof how, settings, m->settings);
    return hw__fail(err, HW_ERR_ARGUMENT,
                    "%s: item %s was made with %s as in %s; results of different settings cannot be merged",
                    m->paths[part], id, how, m->paths[m->first]);
}

static void note_place(eval_merge *m, size_t part, const eval_item *item, const eval_line *line) {
    bool failed = json_object_get(line->json, "error") != NULL;
    eval_place *place = &m->places[item - m->set->at];
    m->n_twice += place->n && !place->failed && !failed; /* without items that failed in one file and succeeded in
                                                            another */
    if (!place->n || (place->failed && !failed)) *place = (eval_place){part, line->at, line->n, failed};
}

static hw_err take_line(void *user, const eval_line *line, hw_error *err) {
    reading *r = user;
    eval_merge *m = r->merge;
    const char *id = json_string_value(json_object_get(line->json, "id"));
    hw_err rc = check_settings(m, r->part, id, json_object_get(line->json, "settings"), err);
    if (rc != HW_OK) return rc;
    const eval_item *item = eval_set_find(m->set, id);
    if (!item)
        return hw__fail(err, HW_ERR_ARGUMENT, "%s: there is no item %s in %s", m->paths[r->part], id, m->set->path);
    if (!eval_line_is_of(line->json, item))
        return hw__fail(err, HW_ERR_ARGUMENT,
                        "%s: item %s was measured with another text or at another place than it has in %s",
                        m->paths[r->part], id, m->set->path);
    note_place(m, r->part, item, line);
    return HW_OK;
}

static hw_err read_part(eval_merge *m, size_t part, hw_error *err) {
    const char *path = m->paths[part];
    FILE *file = input_open(path);
    if (!file) return hw__fail(err, HW_ERR_IO, "results %s: %s", path, input_open_reason());
    m->parts[m->n_open++] = file;
    if (!eval_log_lock_shared(file)) return hw__fail(err, HW_ERR_IO, "results %s: a run is still writing them", path);
    eval_rest rest;
    hw_err rc = eval_log_scan(&rest, file, path, take_line, &(reading){m, part}, err);
    if (rest.torn) message("%s: its last line is torn and left out; the same run again makes it", path);
    m->n_lost += rest.n_others + rest.torn;
    return rc;
}

hw_err eval_merge_open(eval_merge *out, const eval_set *set, const char *const *paths, size_t n, hw_error *err) {
    *out = (eval_merge){.set = set, .paths = paths, .n_parts = n};
    out->parts = calloc(n + 1, sizeof(FILE *));
    out->places = calloc(set->n + 1, sizeof *out->places);
    hw_err rc = out->parts && out->places ? HW_OK : hw__fail(err, HW_ERR_MEMORY, "no memory for the results");
    for (size_t i = 0; i < n && rc == HW_OK; i++) rc = read_part(out, i, err);
    return rc == HW_OK && !out->settings ? hw__fail(err, HW_ERR_ARGUMENT, "there are no results to merge") : rc;
}

void eval_merge_close(eval_merge *m) {
    for (size_t i = 0; i < m->n_open; i++) fclose(m->parts[i]);
    free(m->parts);
    free(m->places);
    json_decref(m->settings);
}

/* ------------------------------------------------------------------ what is missing */

enum { NAMED = 5 };

static bool is_missing(const eval_place *place) { return place->n == 0; }
static bool has_failed(const eval_place *place) { return place->n && place->failed; }

static size_t count(const eval_merge *m, bool (*is)(const eval_place *)) {
    size_t n = 0;
    for (size_t i = 0; i < m->set->n; i++) n += is(&m->places[i]);
    return n;
}

size_t eval_merge_n_missing(const eval_merge *m) { return count(m, is_missing); }
size_t eval_merge_n_failed(const eval_merge *m) { return count(m, has_failed); }

/* Prints the first few items that satisfy `is`, by name. */
static void name_items(const eval_merge *m, bool (*is)(const eval_place *), const char *what) {
    size_t n = count(m, is), named = 0, used = 0;
    char names[400] = "";
    for (size_t i = 0; i < m->set->n && named < NAMED && used < sizeof names; i++) {
        if (!is(&m->places[i])) continue;
        used += (size_t)snprintf(names + used, sizeof names - used, "%s%.60s", named ? ", " : "", m->set->at[i].id);
        named++;
    }
    if (n) message("%zu of %zu items %s: %s%s", n, m->set->n, what, names, named < n ? ", ..." : "");
}

void eval_merge_report(const eval_merge *m) {
    if (m->n_twice)
        message("%zu result%s there twice and count%s once", m->n_twice, m->n_twice == 1 ? " is" : "s are",
                m->n_twice == 1 ? "s" : "");
    name_items(m, is_missing, "have no result");
    name_items(m, has_failed, "failed");
}

/* ------------------------------------------------------------------ writing */

/* Copies one line. Files only grow, so a short read is an error. */
static bool copy_line(FILE *out, FILE *from, const eval_place *place, char *text) {
    for (size_t done = 0; done < place->n;) {
        ssize_t n = pread(fileno(from), text + done, place->n - done, place->at + (off_t)done);
        if (n == 0) errno = EIO;
        if (n <= 0) return false;
        done += (size_t)n;
    }
    return fwrite(text, 1, place->n, out) == place->n;
}

/* errno holds the reason of a failure. */
static bool put_lines(FILE *out, const eval_merge *m) {
    size_t longest = 0;
    for (size_t i = 0; i < m->set->n; i++)
        if (m->places[i].n > longest) longest = m->places[i].n;
    char *text = malloc(longest + 1);
    bool ok = text != NULL;
    for (size_t i = 0; i < m->set->n && ok; i++)
        if (m->places[i].n) ok = copy_line(out, m->parts[m->places[i].part], &m->places[i], text);
    free(text);
    return ok;
}

hw_err eval_merge_save(eval_merge *m, const char *path, hw_error *err) {
    hw__file file;
    hw_err rc = hw__file_create(&file, path, err);
    if (rc != HW_OK) return rc;
    if (!put_lines(file.stream, m)) {
        int reason = errno;
        hw__file_abort(&file);
        return hw__fail(err, HW_ERR_IO, "%s cannot be written: %s", path, strerror(reason));
    }
    return hw__file_commit(&file, err);
}
