/* eval_log.c - result lines in a file: read back, checked, appended. */
#include "eval_log.h"

#include "message.h"

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

/* Adds every whole line of `file` to `lines`; `*whole` is the offset where the last whole line ends. */
static int read_lines(json_t *lines, FILE *file, const char *path, off_t *whole) {
    char *text = NULL;
    size_t room = 0, number = 0;
    ssize_t n;
    int status = STATUS_DONE;
    *whole = 0;
    while (status == STATUS_DONE && (n = getline(&text, &room, file)) > 0 && text[n - 1] == '\n') {
        json_error_t why;
        json_t *line = json_loadb(text, (size_t)n, LOAD, &why);
        number++;
        *whole += n;
        if (line && is_result(line)) {
            if (json_array_append(lines, line) != 0) status = fail("no memory for the results in %s", path);
        } else {
            message("%s line %zu is left out: it is no result of eval", path, number);
        }
        json_decref(line);
    }
    free(text);
    if (ferror(file)) return fail("%s: it could not be read to its end", path);
    return status;
}

int eval_log_read(json_t *lines, const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) return fail("results %s: %s", path, strerror(errno));
    off_t whole;
    int status = read_lines(lines, file, path, &whole);
    fclose(file);
    return status;
}

/* ------------------------------------------------------------------ going on with a file */

static int refuse_settings(const eval_log *log, const char *id, const json_t *old, const json_t *now) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)now, key, value) {
        json_t *before = json_object_get(old, key);
        if (before && json_equal(before, value)) continue;
        char *was = before ? json_dumps(before, DUMP | JSON_ENCODE_ANY) : NULL;
        char *is = json_dumps(value, DUMP | JSON_ENCODE_ANY);
        int status = fail("%s: item %s was made with %s %s, not %s; results of other settings need a file of their own",
                          log->path, id, key, was ? was : "unset", is ? is : "now");
        free(was);
        free(is);
        return status;
    }
    return fail("%s: item %s was made with other settings; name another file", log->path, id);
}

/* Notes which items are there, all of which must be made with the same settings. */
static int index_lines(eval_log *log, const json_t *settings) {
    size_t i;
    json_t *line;
    json_array_foreach(log->lines, i, line) {
        const char *id = json_string_value(json_object_get(line, "id"));
        const json_t *old = json_object_get(line, "settings");
        if (!json_equal(old, settings)) return refuse_settings(log, id, old, settings);
        if (json_object_set_new(log->ids, id, json_true()) != 0) return fail("no memory for the results");
    }
    return STATUS_DONE;
}

/* One run at a time writes a file; the lock ends with the process. */
static bool lock(FILE *file) {
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return fcntl(fileno(file), F_SETLK, &whole) == 0 || (errno != EACCES && errno != EAGAIN);
}

static int open_file(eval_log *log) {
    log->file = fopen(log->path, "a+b");
    if (!log->file) return fail("results %s: %s", log->path, strerror(errno));
    if (!lock(log->file)) return fail("results %s: another run is writing them", log->path);
    rewind(log->file);
    off_t whole;
    int status = read_lines(log->lines, log->file, log->path, &whole);
    if (status != STATUS_DONE) return status;
    fseeko(log->file, 0, SEEK_END);
    if (ftello(log->file) == whole) return STATUS_DONE;
    message("%s: its last line was torn and is made again", log->path);
    if (ftruncate(fileno(log->file), whole) != 0) return fail("results %s: %s", log->path, strerror(errno));
    return STATUS_DONE;
}

int eval_log_open(eval_log *out, const char *path, const json_t *settings) {
    *out = (eval_log){.path = path, .lines = json_array(), .ids = json_object()};
    if (!out->lines || !out->ids) return fail("no memory for the results");
    int status = path ? open_file(out) : STATUS_DONE;
    return status == STATUS_DONE ? index_lines(out, settings) : status;
}

void eval_log_close(eval_log *log) {
    if (log->file) fclose(log->file); /* every line was flushed when it was added */
    json_decref(log->lines);
    json_decref(log->ids);
}

bool eval_log_has(const eval_log *log, const char *id) { return json_object_get(log->ids, id) != NULL; }

/* The table is made from the text, so that it is the same whether made now or from the file. */
static bool keep(eval_log *log, const char *text) {
    json_t *line = json_loads(text, LOAD, NULL);
    const char *id = json_string_value(json_object_get(line, "id"));
    bool ok = id && json_object_set_new(log->ids, id, json_true()) == 0 && json_array_append(log->lines, line) == 0;
    json_decref(line);
    return ok;
}

int eval_log_add(eval_log *log, json_t *line) {
    char *text = line ? json_dumps(line, DUMP) : NULL;
    json_decref(line);
    bool kept = text && keep(log, text);
    bool written = kept;
    if (kept && log->file)
        written = fputs(text, log->file) >= 0 && putc('\n', log->file) != EOF && fflush(log->file) == 0;
    free(text);
    if (!kept) return fail("no memory for a result");
    return written ? STATUS_DONE : fail("results %s: %s", log->path, strerror(errno));
}
