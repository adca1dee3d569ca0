/* log.c - the log callback: the only variable of the library. */
#include "engine/log.h"

#include <stdatomic.h>

static struct {
    hw_log_fn fn;
    void *ctx;
    atomic_bool is_set;
} g_log;

void hw_log_set(hw_log_fn log, void *ctx) {
    g_log.fn = log;
    g_log.ctx = ctx;
    atomic_store(&g_log.is_set, true);
}

bool hw__log_is_set(void) { return atomic_load(&g_log.is_set); }

void hw__log(hw_log_level level, const char *line) {
    if (g_log.fn) g_log.fn(g_log.ctx, level, line);
}
