/*
 * run_store.c - one SQLite connection with a mutex; every call is one transaction.
 *
 * Write-ahead log, synced at checkpoints: committed data survive any end of the process. The connection locks the file
 * exclusively, so a second server on the same file is refused, and an unfinished row found at start was left by a
 * crash: it is marked as failed.
 */
#include "serve/jobs/run_store.h"

#include "base/json.h"
#include "cli/message.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { SCHEMA = 2, APPLICATION = 0x48577274 /* "HWrt" */, PIECE = 1 << 20, PREVIEW_CHARACTERS = 200, LIST_MAX = 1000 };
enum { CHUNK = 1 << 18, LOG_PAGES = 64, ERASED_AT_ONCE = 1 << 17 }; /* see "a full disk" */

static const char schema[] =
    "CREATE TABLE IF NOT EXISTS runs(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, created TEXT NOT NULL,"
    " model TEXT NOT NULL, sha TEXT NOT NULL, n_prompt INTEGER NOT NULL DEFAULT 0, n_completion INTEGER NOT NULL "
    "DEFAULT 0,"
    " prompt TEXT NOT NULL, request TEXT NOT NULL, completion BLOB NOT NULL DEFAULT x'', tried INTEGER NOT NULL "
    "DEFAULT 0,"
    " document TEXT, failure TEXT);"
    "CREATE TABLE IF NOT EXISTS traces(run INTEGER PRIMARY KEY REFERENCES runs(id) ON DELETE CASCADE, bytes BLOB NOT "
    "NULL);"
    "UPDATE runs SET failure='the server ended while this run was in progress' WHERE document IS NULL AND failure IS "
    "NULL;"
    "PRAGMA application_id=0x48577274; PRAGMA user_version=2;";

struct store {
    sqlite3 *db;
    pthread_mutex_t mutex;
    bool in_memory;
    void (*on_change)(void *ctx, int64_t id);
    void *ctx;
};

/* ------------------------------------------------------------------ statements */

static bool is_full(const store *s) {
    int code = sqlite3_errcode(s->db);
    return code == SQLITE_FULL || code == SQLITE_IOERR;
}

static bool fail_db(store *s, hw_error *err) {
    if (!err) return false;
    if (sqlite3_errcode(s->db) == SQLITE_NOMEM) return error_set(err, HW_ERR_MEMORY, "no memory for the store of runs");
    if (is_full(s))
        return error_set(err, ERR_STORE_FULL, "the store of runs cannot be written: %s", sqlite3_errmsg(s->db));
    return error_set(err, ERR_STORE, "the store of runs: %s", sqlite3_errmsg(s->db));
}

static bool fail_missing(int64_t id, hw_error *err) {
    return error_set(err, ERR_NOT_FOUND, "there is no run %lld", (long long)id);
}

/* A statement with its arguments bound: `i` int64_t, `t` terminated text, `n` text with length (span_of_text), `b` the
 * same as bytes, `z` a blob of zeros (int64_t: length). NULL on failure. The arguments must outlive the statement. */
static sqlite3_stmt *prepare(store *s, const char *sql, const char *types, ...) {
    sqlite3_stmt *q = NULL;
    bool ok = sqlite3_prepare_v2(s->db, sql, -1, &q, NULL) == SQLITE_OK;
    va_list args;
    va_start(args, types);
    for (int i = 1; ok && *types; types++, i++) {
        int rc;
        if (*types == 'i') {
            rc = sqlite3_bind_int64(q, i, va_arg(args, int64_t));
        } else if (*types == 'z') {
            rc = sqlite3_bind_zeroblob64(q, i, (sqlite3_uint64)va_arg(args, int64_t));
        } else if (*types == 't') {
            rc = sqlite3_bind_text(q, i, va_arg(args, const char *), -1, SQLITE_STATIC);
        } else {
            span_of_text text = va_arg(args, span_of_text);
            const char *bytes = text.bytes ? text.bytes : "";
            rc = *types == 'n' ? sqlite3_bind_text64(q, i, bytes, text.n, SQLITE_STATIC, SQLITE_UTF8)
                               : sqlite3_bind_blob64(q, i, bytes, text.n, SQLITE_STATIC);
        }
        ok = rc == SQLITE_OK;
    }
    va_end(args);
    if (ok) return q;
    sqlite3_finalize(q);
    return NULL;
}

/* Runs a statement that returns no rows, and releases it. */
static bool run(sqlite3_stmt *q) {
    bool ok = q && sqlite3_step(q) == SQLITE_DONE;
    sqlite3_finalize(q);
    return ok;
}

static bool execute(store *s, const char *sql) { return sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK; }

/* Checks that a statement changed exactly one row. */
static bool changed(store *s, bool ok, int64_t id, hw_error *err) {
    if (ok && sqlite3_changes(s->db) == 0) return fail_missing(id, err);
    return ok || fail_db(s, err);
}

/* *out <- the number that a query returns. */
static bool number(int64_t *out, store *s, const char *sql) {
    sqlite3_stmt *q = prepare(s, sql, "");
    bool ok = q && sqlite3_step(q) == SQLITE_ROW;
    if (ok) *out = sqlite3_column_int64(q, 0);
    sqlite3_finalize(q);
    return ok;
}

static void lock(store *s) { pthread_mutex_lock(&s->mutex); }
static void unlock(store *s) { pthread_mutex_unlock(&s->mutex); }

/* Unlocks, and reports a change of run `id`. */
static bool unlock_changed(store *s, bool ok, int64_t id) {
    unlock(s);
    if (ok && s->on_change) s->on_change(s->ctx, id);
    return ok;
}

static span_of_text column(sqlite3_stmt *q, int i) {
    const char *bytes = sqlite3_column_blob(q, i); /* used for text too, without conversion; NULL if it is empty */
    return (span_of_text){bytes ? bytes : "", bytes ? (size_t)sqlite3_column_bytes(q, i) : 0};
}

static char *copy(span_of_text text) {
    char *out = malloc(text.n + 1);
    if (!out) return NULL;
    memcpy(out, text.bytes, text.n);
    out[text.n] = 0;
    return out;
}

/* ------------------------------------------------------------------ a full disk */

/* Runs can be deleted where no file can grow: the file has the space of every page in the log, so that the log can be
 * copied into it and begin anew, in the space that the log has itself. */

/* Takes the file's space for all pages of this transaction, and one chunk more for those of small ones. */
static bool reserve(store *s, hw_error *err) {
    int64_t n_pages, page;
    if (s->in_memory) return true;
    if (!number(&n_pages, s, "PRAGMA page_count") || !number(&page, s, "PRAGMA page_size")) return fail_db(s, err);
    sqlite3_int64 n_bytes = n_pages * page + CHUNK;
    if (sqlite3_file_control(s->db, "main", SQLITE_FCNTL_SIZE_HINT, &n_bytes) == SQLITE_OK) return true;
    return error_set(err, ERR_STORE_FULL, "the store of runs cannot be written: %s", sqlite3_errstr(SQLITE_FULL));
}

/* Ends a transaction that may add to the file, or undoes it. */
static bool commit(store *s, bool ok, hw_error *err) {
    ok = ok && reserve(s, err) && (execute(s, "COMMIT") || fail_db(s, err));
    if (!ok) execute(s, "ROLLBACK"); /* has no effect if the transaction has not begun */
    return ok;
}

/* A transaction of one statement, which is released. */
static bool run_reserved(store *s, sqlite3_stmt *q, hw_error *err) {
    bool ok = (q && execute(s, "BEGIN IMMEDIATE") && sqlite3_step(q) == SQLITE_DONE) || fail_db(s, err);
    sqlite3_finalize(q);
    return commit(s, ok, err);
}

static bool restart_log(store *s) { return execute(s, "PRAGMA wal_checkpoint(RESTART)"); }

/* Gives the log the space of some pages: setting the version writes one. */
static void fill_log(store *s) {
    char sql[64];
    snprintf(sql, sizeof sql, "PRAGMA user_version=%d", SCHEMA);
    for (int i = 0; i < LOG_PAGES && execute(s, sql); i++) continue;
}

/* Overwrites one value of a run with zeros, as much at a time as the log holds. */
static bool erase_value(store *s, const char *table, const char *column, int64_t id) {
    static const char zeros[ERASED_AT_ONCE];
    for (int at = 0, size = 1, n; at < size; at += n) {
        sqlite3_blob *blob = NULL;
        int opened = sqlite3_blob_open(s->db, "main", table, column, id, 1, &blob);
        if (opened == SQLITE_ERROR) return true; /* no such row, or NULL */
        if (opened != SQLITE_OK) return false;
        size = sqlite3_blob_bytes(blob);
        n = size - at < ERASED_AT_ONCE ? size - at : ERASED_AT_ONCE;
        bool ok = sqlite3_blob_write(blob, zeros, n, at) == SQLITE_OK;
        if (sqlite3_blob_close(blob) != SQLITE_OK || !ok || !restart_log(s)) return false;
    }
    return true;
}

/* ------------------------------------------------------------------ opening */

/* Makes every folder on the way to `path`; readable by the owner only, because runs contain prompts. */
static bool make_folders(char *path) {
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        bool ok = mkdir(path, 0700) == 0 || errno == EEXIST;
        *slash = '/';
        if (!ok) return false;
    }
    return true;
}

bool store_default_path(char **out, hw_error *err) {
    const char *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    bool given = data && *data == '/';
    if (!given && !(home && *home == '/'))
        return error_set(err, HW_ERR_IO, "no place for saved runs: HOME is not set; give --store FILE or --no-store");
    const char *base = given ? data : home, *below = given ? "" : "/.local/share";
    size_t capacity = strlen(base) + 64;
    char *path = malloc(capacity);
    if (path) snprintf(path, capacity, "%s%s/headwater/runs.sqlite", base, below);
    *out = path;
    if (path && make_folders(path)) return true;
    error_set(err, HW_ERR_IO, "cannot make the folder of %s: %s", path ? path : base, strerror(errno));
    *out = NULL;
    free(path);
    return false;
}

static bool fail_open(store *s, const char *path, hw_error *err) {
    if (sqlite3_errcode(s->db) == SQLITE_BUSY)
        return error_set(err, ERR_STORE,
                         "%s is in use by another headwater serve: stop that, or give --store FILE or --no-store",
                         path);
    return error_set(err, ERR_STORE, "%s: %s", path, sqlite3_errmsg(s->db));
}

/* Checks the file before changing it: it must be new, or a store that this build can read; *older: it has version 1. */
static bool check_file(bool *older, store *s, const char *path, hw_error *err) {
    int64_t things, application, version;
    if (!number(&things, s, "SELECT count(*) FROM sqlite_master") ||
        !number(&application, s, "PRAGMA application_id") || !number(&version, s, "PRAGMA user_version"))
        return fail_open(s, path, err);
    *older = things > 0 && version == 1;
    if (things > 0 && application != APPLICATION)
        return error_set(err, ERR_STORE, "%s is a database of something else: name another file", path);
    return version <= SCHEMA ||
           error_set(err, ERR_STORE, "%s is version %lld of a store; this build reads up to version %d", path,
                     (long long)version, SCHEMA);
}

static bool prepare_file(store *s, const char *path, hw_error *err) {
    bool older = false;
    if (!execute(s, "PRAGMA locking_mode=EXCLUSIVE; PRAGMA foreign_keys=ON; PRAGMA secure_delete=ON;"))
        return fail_open(s, path, err);
    if (!check_file(&older, s, path, err)) return false;
    int chunk = CHUNK;
    sqlite3_file_control(s->db, "main", SQLITE_FCNTL_CHUNK_SIZE, &chunk);
    if (!execute(s, "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; BEGIN IMMEDIATE; COMMIT;"))
        return fail_open(s, path, err);
    restart_log(s); /* one that a crash left, on a full disk */
    if ((older && !execute(s, "BEGIN; ALTER TABLE runs ADD COLUMN failure TEXT; PRAGMA user_version=2; COMMIT;")) ||
        !execute(s, schema))
        return fail_open(s, path, err);
    if (!s->in_memory) fill_log(s);
    return true;
}

/* Creates a new file that only its owner can read. */
static bool create_private(const char *path, hw_error *err) {
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) return error_set(err, ERR_STORE, "cannot open %s: %s", path, strerror(errno));
    close(fd);
    return true;
}

bool store_open(store **out, const char *path, hw_error *err) {
    if (path && !create_private(path, err)) return false;
    store *s = calloc(1, sizeof *s);
    if (!s) return error_set(err, HW_ERR_MEMORY, "no memory for the store of runs");
    pthread_mutex_init(&s->mutex, NULL);
    s->in_memory = path == NULL;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX;
    if (sqlite3_open_v2(path ? path : ":memory:", &s->db, flags, NULL) != SQLITE_OK || !s->db) {
        error_set(err, ERR_STORE, "cannot open %s: %s", path ? path : "memory",
                  s->db ? sqlite3_errmsg(s->db) : "no memory");
        store_close(s);
        return false;
    }
    if (!prepare_file(s, path ? path : "the store", err)) {
        store_close(s);
        return false;
    }
    *out = s;
    return true;
}

void store_on_change(store *s, void (*on_change)(void *ctx, int64_t id), void *ctx) {
    s->on_change = on_change;
    s->ctx = ctx;
}

void store_close(store *s) {
    if (!s) return;
    sqlite3_close(s->db);
    pthread_mutex_destroy(&s->mutex);
    free(s);
}

/* ------------------------------------------------------------------ a run in the making */

static void now_text(char out[32]) {
    time_t now = time(NULL);
    struct tm utc;
    gmtime_r(&now, &utc);
    strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &utc);
}

/* The first characters of a text, if they are UTF-8. */
static span_of_text preview(span_of_text text) {
    size_t i = 0, n = 0;
    for (; i < text.n; i++)
        if (((unsigned char)text.bytes[i] & 0xC0) != 0x80 && n++ == PREVIEW_CHARACTERS) break;
    return (span_of_text){text.bytes, i};
}

int64_t store_begin(store *s, const explain_request *r, const char *request, const hw_model_info *model,
                    hw_error *err) {
    char created[32];
    bool ok = true;
    now_text(created);
    lock(s);
    if (s->in_memory) {
        char sql[160];
        snprintf(sql, sizeof sql, "DELETE FROM runs WHERE id NOT IN (SELECT id FROM runs ORDER BY id DESC LIMIT %d)",
                 STORE_MEMORY_RUNS - 1);
        ok = execute(s, sql);
    }
    if (!ok) fail_db(s, err);
    ok = ok && run_reserved(s,
                            prepare(s,
                                    "INSERT INTO runs(name, created, model, sha, prompt, request)"
                                    " VALUES(?,?,?,?,?,?)",
                                    "ntttnt", r->name, created, *model->name ? model->name : model->path,
                                    model->sample_sha256, preview(request_preview(r)), request),
                            err);
    int64_t id = ok ? sqlite3_last_insert_rowid(s->db) : 0;
    unlock_changed(s, ok, id);
    return id;
}

bool store_progress(store *s, int64_t id, span_of_text completion, hw_error *err) {
    lock(s);
    bool ok = run_reserved(s, prepare(s, "UPDATE runs SET completion=? WHERE id=?", "bi", completion, id), err);
    unlock(s);
    return ok;
}

/* Copies a file into the blob, through `piece` [PIECE]. */
static bool fill_blob(store *s, sqlite3_blob *blob, FILE *file, char *piece, hw_error *err) {
    int at = 0, size = sqlite3_blob_bytes(blob);
    while (at < size) {
        int n = (int)fread(piece, 1, PIECE, file);
        if (n <= 0 || n > size - at) return error_set(err, ERR_STORE, "the run's trace cannot be read back");
        if (sqlite3_blob_write(blob, piece, n, at) != SQLITE_OK) return fail_db(s, err);
        at += n;
    }
    return true;
}

static bool insert_trace(store *s, int64_t id, FILE *file, int64_t n_bytes, hw_error *err) {
    sqlite3_blob *blob = NULL;
    char *piece = malloc(PIECE);
    if (!piece) return error_set(err, HW_ERR_MEMORY, "no memory for the trace of run %lld", (long long)id);
    bool ok = (run(prepare(s, "INSERT OR REPLACE INTO traces(run, bytes) VALUES(?,?)", "iz", id, n_bytes)) &&
               sqlite3_blob_open(s->db, "main", "traces", "bytes", id, 1, &blob) == SQLITE_OK) ||
              fail_db(s, err);
    ok = ok && fill_blob(s, blob, file, piece, err);
    sqlite3_blob_close(blob);
    free(piece);
    return ok;
}

/* A trace that is too large or cannot be read is left out: the run is kept. */
static bool keep_trace(store *s, int64_t id, const char *path, hw_error *err) {
    struct stat info;
    FILE *file = path ? fopen(path, "rb") : NULL;
    if (!file) return true;
    bool ok = true;
    int64_t max = (int64_t)(s->in_memory ? STORE_MEMORY_TRACE_MIB : STORE_FILE_TRACE_MIB) << 20;
    if (fstat(fileno(file), &info) == 0 && info.st_size > 0 && info.st_size <= max)
        ok = insert_trace(s, id, file, info.st_size, err);
    fclose(file);
    return ok;
}

bool store_finish(store *s, int64_t id, const finished *what, hw_error *err) {
    lock(s);
    bool ok = (execute(s, "BEGIN IMMEDIATE") && run(prepare(s, "DELETE FROM traces WHERE run=?", "i", id))) ||
              fail_db(s, err);
    ok = ok && changed(s,
                       run(prepare(s,
                                   "UPDATE runs SET document=?, n_prompt=?, n_completion=?, completion=?, failure=NULL"
                                   " WHERE id=?",
                                   "tiibi", what->document, what->n_prompt, what->n_completion, what->completion, id)),
                       id, err);
    ok = commit(s, ok && keep_trace(s, id, what->trace_path, err), err);
    return unlock_changed(s, ok, id);
}

bool store_drop(store *s, int64_t id, hw_error *err) {
    lock(s);
    bool ok = run(prepare(s, "DELETE FROM runs WHERE id=?", "i", id)) || fail_db(s, err);
    return unlock_changed(s, ok, id);
}

bool store_fail(store *s, int64_t id, const char *reason, hw_error *err) {
    lock(s);
    bool ok = run(prepare(s, "UPDATE runs SET failure=? WHERE id=? AND document IS NULL", "ti", reason, id)) ||
              fail_db(s, err);
    return unlock_changed(s, ok, id);
}

static bool fail_retry(int64_t id, hw_error *err) {
    return error_set(err, ERR_NOT_FAILED, "run %lld did not fail: only a failed run is made again", (long long)id);
}

bool store_failed_run(store *s, int64_t id, failed_run *out, hw_error *err) {
    *out = (failed_run){NULL};
    lock(s);
    sqlite3_stmt *q = prepare(s, "SELECT request, completion, failure IS NOT NULL FROM runs WHERE id=?", "i", id);
    int step = q ? sqlite3_step(q) : SQLITE_ERROR;
    bool ok = step == SQLITE_ROW || (step == SQLITE_DONE ? fail_missing(id, err) : fail_db(s, err));
    if (ok && !sqlite3_column_int(q, 2)) ok = fail_retry(id, err);
    if (ok) {
        out->request = copy(column(q, 0));
        out->completion = copy(column(q, 1));
        out->n_completion = column(q, 1).n;
        ok =
            (out->request && out->completion) || error_set(err, HW_ERR_MEMORY, "no memory for run %lld", (long long)id);
    }
    sqlite3_finalize(q);
    unlock(s);
    if (!ok) failed_run_free(out);
    return ok;
}

void failed_run_free(failed_run *r) {
    free(r->request);
    free(r->completion);
    *r = (failed_run){NULL};
}

bool store_retry(store *s, int64_t id, hw_error *err) {
    lock(s);
    bool ok = run(prepare(s, "UPDATE runs SET failure=NULL WHERE id=? AND failure IS NOT NULL", "i", id));
    if (!ok)
        fail_db(s, err);
    else if (sqlite3_changes(s->db) == 0)
        ok = fail_retry(id, err);
    return unlock_changed(s, ok, id);
}

/* ------------------------------------------------------------------ finished runs */

/* Text of a column as a string; it may end inside a character. */
static json_t *text_json(span_of_text text) { return hw__json_front(text.bytes, text.n); }

static json_t *run_json(sqlite3_stmt *q) {
    json_t *run = json_pack(
        "{s:I, s:o, s:o, s:o, s:I, s:I, s:o, s:o, s:b, s:b}", "id", (json_int_t)sqlite3_column_int64(q, 0), "name",
        text_json(column(q, 1)), "created", text_json(column(q, 2)), "model", text_json(column(q, 3)), "n_prompt",
        (json_int_t)sqlite3_column_int64(q, 4), "n_completion", (json_int_t)sqlite3_column_int64(q, 5), "prompt",
        text_json(column(q, 6)), "completion", text_json(preview(column(q, 7))), "finished", sqlite3_column_int(q, 8),
        "has_trace", sqlite3_column_int(q, 9));
    bool failed = sqlite3_column_type(q, 10) != SQLITE_NULL;
    return failed ? hw__json_set(run, "failure", text_json(column(q, 10))) : run;
}

json_t *store_list(store *s, hw_error *err) {
    json_t *runs = json_array();
    lock(s);
    sqlite3_stmt *q = prepare(s,
                              "SELECT id, name, created, model, n_prompt, n_completion, prompt, completion,"
                              " document IS NOT NULL, EXISTS(SELECT 1 FROM traces WHERE run=id), failure"
                              " FROM runs ORDER BY id DESC LIMIT ?",
                              "i", (int64_t)LIST_MAX);
    int step = q ? SQLITE_ROW : SQLITE_ERROR;
    while (q && (step = sqlite3_step(q)) == SQLITE_ROW) runs = hw__json_append(runs, run_json(q));
    json_t *list = step == SQLITE_DONE ? json_pack("{s:o}", "runs", runs) : NULL;
    if (step != SQLITE_DONE) {
        fail_db(s, err);
        json_decref(runs);
    } else if (!list) {
        error_set(err, HW_ERR_MEMORY, "no memory for the list of runs");
    }
    sqlite3_finalize(q);
    unlock(s);
    return list;
}

/* {"id","name","created", and the rest of the document after its brace. */
static bool put_document(buffer *out, sqlite3_stmt *q, int64_t id, hw_error *err) {
    span_of_text document = column(q, 2);
    if (sqlite3_column_type(q, 3) != SQLITE_NULL)
        return error_set(err, ERR_RUN_FAILED, "run %lld failed: %.400s; POST /api/runs/%lld/retry makes it again",
                         (long long)id, (const char *)sqlite3_column_text(q, 3), (long long)id);
    if (sqlite3_column_type(q, 2) == SQLITE_NULL)
        return error_set(err, ERR_UNFINISHED, "run %lld is not finished: it is being made", (long long)id);
    if (document.n < 2 || document.bytes[0] != '{')
        return error_set(err, ERR_STORE, "the document of run %lld is damaged", (long long)id);
    json_t *head = json_pack("{s:I, s:o, s:o}", "id", (json_int_t)id, "name", text_json(column(q, 0)), "created",
                             text_json(column(q, 1)));
    buffer_splice(out, head, NULL, document.bytes, document.n);
    return true;
}

bool store_get(store *s, int64_t id, buffer *out, hw_error *err) {
    lock(s);
    sqlite3_stmt *q = prepare(s, "SELECT name, created, document, failure FROM runs WHERE id=?", "i", id);
    int step = q ? sqlite3_step(q) : SQLITE_ERROR;
    bool ok = step == SQLITE_ROW    ? put_document(out, q, id, err)
              : step == SQLITE_DONE ? fail_missing(id, err)
                                    : fail_db(s, err);
    sqlite3_finalize(q);
    unlock(s);
    return ok;
}

bool store_rename(store *s, int64_t id, span_of_text name, hw_error *err) {
    lock(s);
    bool ok = changed(s, run(prepare(s, "UPDATE runs SET name=? WHERE id=?", "ni", name, id)), id, err);
    return unlock_changed(s, ok, id);
}

/* One text column of a run, malloc'd. */
static char *get_column(store *s, const char *sql, int64_t id, hw_error *err) {
    char *out = NULL;
    sqlite3_stmt *q = prepare(s, sql, "i", id);
    int step = q ? sqlite3_step(q) : SQLITE_ERROR;
    if (step != SQLITE_ROW) {
        if (step == SQLITE_DONE)
            fail_missing(id, err);
        else
            fail_db(s, err);
    } else if (!(out = copy(column(q, 0)))) {
        error_set(err, HW_ERR_MEMORY, "no memory for run %lld", (long long)id);
    }
    sqlite3_finalize(q);
    return out;
}

static bool delete_finished(store *s, int64_t id) {
    return run(prepare(s, "DELETE FROM runs WHERE id=? AND (document IS NOT NULL OR failure IS NOT NULL)", "i", id));
}

/* The same for a run whose pages are more than the log has space for: they are overwritten bit by bit, and the deletion
 * itself then changes only those that list them. */
static bool erase_finished(store *s, int64_t id, hw_error *err) {
    static const char *const values[][2] = {
        {"traces", "bytes"}, {"runs", "document"}, {"runs", "completion"}, {"runs", "request"}, {"runs", "prompt"}};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        if (!erase_value(s, values[i][0], values[i][1], id)) return fail_db(s, err);
    bool ok = (execute(s, "PRAGMA secure_delete=FAST") && delete_finished(s, id)) || fail_db(s, err);
    execute(s, "PRAGMA secure_delete=ON");
    return ok;
}

bool store_delete(store *s, int64_t id, hw_error *err) {
    lock(s);
    bool ok = delete_finished(s, id);
    if (!ok && is_full(s)) ok = restart_log(s) && delete_finished(s, id);
    if (!ok) ok = is_full(s) && restart_log(s) ? erase_finished(s, id, err) : fail_db(s, err);
    bool gone = ok && sqlite3_changes(s->db) > 0;
    char *name = ok && !gone ? get_column(s, "SELECT name FROM runs WHERE id=?", id, err) : NULL;
    if (name) error_set(err, ERR_UNFINISHED, "run %lld is being made: stop its job first", (long long)id);
    free(name);
    return unlock_changed(s, gone, id);
}

bool store_has(store *s, int64_t id, hw_error *err) {
    lock(s);
    char *name = get_column(s, "SELECT name FROM runs WHERE id=?", id, err);
    unlock(s);
    free(name);
    return name != NULL;
}

char *store_request(store *s, int64_t id, hw_error *err) {
    lock(s);
    char *text = get_column(s, "SELECT request FROM runs WHERE id=?", id, err);
    unlock(s);
    return text;
}

/* ------------------------------------------------------------------ changing a document */

static bool is_of_same(const json_t *a, const json_t *b) {
    return json_equal((json_t *)json_object_get(a, "method"), (json_t *)json_object_get(b, "method")) &&
           json_equal((json_t *)json_object_get(a, "settings"), (json_t *)json_object_get(b, "settings"));
}

static bool put_attribution(json_t *list, json_t *one) {
    for (size_t i = 0; i < json_array_size(list); i++)
        if (is_of_same(json_array_get(list, i), one)) return json_array_set(list, i, one) == 0;
    return json_array_append(list, one) == 0;
}

/* The document with the additions, as text. NULL on failure: *damaged if it cannot be parsed, else memory ran out. */
static char *amended(bool *damaged, const char *document, const json_t *attributions, json_t *members) {
    bool no_memory;
    json_t *json = hw__json_read(document, strlen(document), JSON_ALLOW_NUL, &no_memory, NULL);
    json_t *list = json_object_get(json, "attributions");
    bool ok = json_is_array(list);
    *damaged = !ok && !no_memory;
    for (size_t i = 0; ok && i < json_array_size(attributions); i++)
        ok = put_attribution(list, json_array_get(attributions, i));
    if (ok && members) ok = json_object_update(json, members) == 0;
    char *text = ok ? hw__json_dump(json, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
    json_decref(json);
    return text;
}

bool store_amend(store *s, int64_t id, const json_t *attributions, json_t *members, hw_error *err) {
    lock(s);
    char *document = get_column(s, "SELECT document FROM runs WHERE id=?", id, err);
    bool damaged = false;
    char *text = document ? amended(&damaged, document, attributions, members) : NULL;
    bool ok = text != NULL;
    if (document && damaged) error_set(err, ERR_STORE, "the document of run %lld is damaged", (long long)id);
    if (document && !ok && !damaged) error_set(err, HW_ERR_MEMORY, "no memory for run %lld", (long long)id);
    ok = ok && run_reserved(s, prepare(s, "UPDATE runs SET document=? WHERE id=?", "ti", text, id), err) &&
         (sqlite3_changes(s->db) > 0 || fail_missing(id, err));
    unlock_changed(s, ok, id);
    free(document);
    free(text);
    return ok;
}

/* ------------------------------------------------------------------ traces */

static bool copy_blob(sqlite3_blob *blob, FILE *file) {
    char *piece = malloc(PIECE);
    bool ok = piece != NULL;
    int size = sqlite3_blob_bytes(blob);
    for (int at = 0; ok && at < size; at += PIECE) {
        int n = size - at < PIECE ? size - at : PIECE;
        ok = sqlite3_blob_read(blob, piece, n, at) == SQLITE_OK && fwrite(piece, 1, (size_t)n, file) == (size_t)n;
    }
    free(piece);
    return ok;
}

bool store_trace(store *s, int64_t id, const char *path, hw_error *err) {
    sqlite3_blob *blob = NULL;
    lock(s);
    int opened = sqlite3_blob_open(s->db, "main", "traces", "bytes", id, 0, &blob);
    bool ok = opened == SQLITE_OK;
    FILE *file = ok ? fopen(path, "wbx") : NULL;
    if (!ok && opened != SQLITE_ERROR) { /* SQLITE_ERROR: there is no such row */
        fail_db(s, err);
    } else if (!ok) {
        char *name = get_column(s, "SELECT name FROM runs WHERE id=?", id, err);
        if (name)
            error_set(
                err, ERR_NO_TRACE,
                "run %lld has no trace: it was too large to keep or could not be written, or the run is not finished",
                (long long)id);
        free(name);
    } else {
        ok = file && copy_blob(blob, file);
        if (file && fclose(file) != 0) ok = false;
        if (!ok) error_set(err, ERR_STORE, "the trace of run %lld cannot be copied to %s", (long long)id, path);
    }
    sqlite3_blob_close(blob);
    unlock(s);
    return ok;
}
