/* backend.c - libllama's log and ggml's backends, set up once per process. */
#define _GNU_SOURCE /* dladdr */
#include "engine/llama/device/backend.h"

#include "engine/log.h"

#include "engine/llama/device/guarded.h"

#include <llama.h>

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ------------------------------------------------------------------ the log */

static struct {
    pthread_mutex_t lock;
    char first_error[512];
} g_log = {.lock = PTHREAD_MUTEX_INITIALIZER};

static _Thread_local bool g_quiet;

void hw__llama_log_errors(bool passes) { g_quiet = !passes; }

static hw_log_level level_of(enum ggml_log_level level) {
    switch (level) {
    case GGML_LOG_LEVEL_ERROR: return HW_LOG_ERROR;
    case GGML_LOG_LEVEL_WARN: return HW_LOG_WARN;
    case GGML_LOG_LEVEL_INFO: return HW_LOG_INFO;
    default: return HW_LOG_DEBUG;
    }
}

static void on_log(enum ggml_log_level level, const char *text, void *ctx) {
    (void)ctx;
    char line[1024];
    size_t n = strcspn(text, "\n");
    if (n == 0 || level == GGML_LOG_LEVEL_CONT || (g_quiet && level >= GGML_LOG_LEVEL_WARN)) return;
    snprintf(line, sizeof line, "%.*s", (int)(n < sizeof line ? n : sizeof line - 1), text);
    if (level == GGML_LOG_LEVEL_ERROR) {
        pthread_mutex_lock(&g_log.lock);
        if (!g_log.first_error[0])
            snprintf(g_log.first_error, sizeof g_log.first_error, "%.*s", (int)sizeof g_log.first_error - 1, line);
        pthread_mutex_unlock(&g_log.lock);
    }
    hw__log(level_of(level), line);
}

static void on_fatal(const char *text) { hw__log(HW_LOG_FATAL, text); }

void hw__llama_first_error(char *out, size_t capacity) {
    const char *unknown = hw__log_is_set() ? "no reason given" : "the engine's log on standard error has the reason";
    pthread_mutex_lock(&g_log.lock);
    snprintf(out, capacity, "%.*s", (int)capacity - 1, g_log.first_error[0] ? g_log.first_error : unknown);
    g_log.first_error[0] = 0;
    pthread_mutex_unlock(&g_log.lock);
}

void hw__llama_load_problem(char *out, size_t capacity, const char *architecture) {
    char reason[512];
    hw__llama_first_error(reason, sizeof reason);
    if (strstr(reason, "unknown model architecture"))
        snprintf(out, capacity,
                 "libllama (%s) does not know its architecture, %.64s: a newer llama.cpp may (HEADWATER_LLAMA_PREFIX "
                 "names one to scripts/setup-engine.sh)",
                 llama_version(), architecture);
    else
        snprintf(out, capacity, "libllama (%s) could not load it: %s", llama_version(), reason);
}

void hw__llama_forget_errors(void) {
    pthread_mutex_lock(&g_log.lock);
    g_log.first_error[0] = 0;
    pthread_mutex_unlock(&g_log.lock);
}

/* ------------------------------------------------------------------ backends */

/* ggml's own search begins in the program's folder and continues in the current one, which may contain an attacker's
 * library. */
static void load_backends(void) {
    Dl_info library;
    char folder[4096];
    if (!dladdr((void *)ggml_backend_load_all_from_path, &library) || !library.dli_fname) return;
    const char *slash = strrchr(library.dli_fname, '/');
    size_t n = slash ? (size_t)(slash - library.dli_fname) : 0;
    if (n == 0 || n >= sizeof folder) return;
    snprintf(folder, sizeof folder, "%.*s", (int)n, library.dli_fname);
    hw__guarded_backends(folder, NULL); /* a missing backend is reported when devices are listed */
}

static void connect(void) {
    llama_log_set(on_log, NULL);
    ggml_set_abort_callback(on_fatal);
}

void hw__llama_connect_log(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    if (hw__log_is_set()) pthread_once(&once, connect);
}

static void start(void) {
    if (ggml_backend_dev_count() == 0) load_backends(); /* builds whose backends are plug-ins */
    llama_backend_init();
}

void hw__llama_start(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    hw__llama_connect_log();
    pthread_once(&once, start);
}

/* ------------------------------------------------------------------ threads */

hw_err hw__llama_threads(int32_t *n_threads, hw_error *err) {
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    if (*n_threads == 0) *n_threads = cores > 0 ? (int32_t)cores : 1;
    if (*n_threads >= 1 && *n_threads <= 512) return HW_OK;
    return hw__fail(err, HW_ERR_ARGUMENT, "%d threads: 1..512 are accepted", *n_threads);
}
