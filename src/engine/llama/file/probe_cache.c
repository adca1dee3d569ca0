/*
 * probe_cache.c - see probe_cache.h. One entry per path of a model, <folder>/probe-<sha256 of the path>: the lines of
 * the identity, then `row_error`, `has_sinks`, `n_heads_kv` and `device`.
 */
#define _GNU_SOURCE /* dladdr */
#include "engine/llama/file/probe_cache.h"

#include "base/atomic_file.h"

#include <ggml-backend.h>
#include <llama.h>

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool add(hw__probe_identity *to, const char *fmt, ...) HW_PRINTF(2, 3);
static bool add(hw__probe_identity *to, const char *fmt, ...) {
    va_list args;
    size_t at = strlen(to->text), left = sizeof to->text - at;
    va_start(args, fmt);
    int n = vsnprintf(to->text + at, left, fmt, args);
    va_end(args);
    return n >= 0 && (size_t)n < left;
}

static bool add_file(hw__probe_identity *to, const char *what, const char *path) {
    struct stat s;
    return stat(path, &s) == 0 && S_ISREG(s.st_mode) &&
           add(to, "%s %llu %llu %lld %lld.%09ld\n", what, (unsigned long long)s.st_dev, (unsigned long long)s.st_ino,
               (long long)s.st_size, (long long)s.st_mtim.tv_sec, s.st_mtim.tv_nsec);
}

/* The library, or program, that has this function or object. */
static bool add_library(hw__probe_identity *to, const char *what, const void *has) {
    Dl_info library;
    return dladdr(has, &library) && library.dli_fname && add_file(to, what, library.dli_fname);
}

/* The kernels: the variant of the CPU backend that ggml chose, and what it found this processor to have. */
static bool add_kernels(hw__probe_identity *to) {
    ggml_backend_reg_t cpu = ggml_backend_reg_by_name("CPU");
    ggml_backend_get_features_t features_of = NULL;
    if (!cpu || !add_library(to, "kernels", cpu)) return false;
    *(void **)&features_of = ggml_backend_reg_get_proc_address(cpu, "ggml_backend_get_features");
    bool ok = features_of && add(to, "features");
    for (const struct ggml_backend_feature *f = ok ? features_of(cpu) : NULL; ok && f && f->name; f++)
        ok = add(to, " %s=%s", f->name, f->value);
    return ok && add(to, "\n");
}

static bool name_entry(hw__probe_identity *out, const char *folder, const char *model) {
    hw__sha256 hash;
    char digest[HW__SHA256_CAPACITY];
    hw__sha256_begin(&hash);
    hw__sha256_add(&hash, model, strlen(model));
    hw__sha256_hex(&hash, digest);
    int n = snprintf(out->path, sizeof out->path, "%s/probe-%s", folder, digest);
    return n > 0 && (size_t)n < sizeof out->path;
}

bool hw__probe_identify(hw__probe_identity *out, const char *folder, const char *model, const char *settings) {
    char *real = realpath(model, NULL);
    out->text[0] = 0;
    bool ok = real && name_entry(out, folder, real) && add(out, "headwater probe " HW_VERSION "\n") &&
              add_file(out, "model", real) && add_library(out, "headwater", (const void *)hw__probe_identify) &&
              add_library(out, "libllama", (const void *)llama_decode) &&
              add_library(out, "ggml", (const void *)ggml_backend_reg_by_name) && add_kernels(out) &&
              add(out, "settings %s\n", settings);
    free(real);
    return ok;
}

/* Reads at most `capacity` - 1 bytes of a regular file that only this user may write. */
static bool read_own(char *out, size_t capacity, const char *path) {
    struct stat s;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) return false;
    bool ok = fstat(fd, &s) == 0 && S_ISREG(s.st_mode) && s.st_uid == geteuid() && !(s.st_mode & (S_IWGRP | S_IWOTH)) &&
              s.st_size > 0 && (size_t)s.st_size < capacity;
    size_t n = 0;
    for (ssize_t got = 1; ok && n < (size_t)s.st_size && got > 0; n += got > 0 ? (size_t)got : 0)
        got = read(fd, out + n, (size_t)s.st_size - n);
    ok = ok && n == (size_t)s.st_size && !memchr(out, 0, n);
    out[ok ? n : 0] = 0;
    close(fd);
    return ok;
}

bool hw__probe_cache_read(hw__probe_findings *out, const hw__probe_identity *identity) {
    char text[8192];
    size_t n = strlen(identity->text);
    if (!read_own(text, sizeof text, identity->path) || strncmp(text, identity->text, n) != 0) return false;
    hw__probe_findings f = {.n_heads_kv = 0};
    int sinks = 0, at = 0;
    int found = sscanf(text + n, "row_error %la\nhas_sinks %d\nn_heads_kv %d\ndevice%n", &f.row_error, &sinks,
                       &f.n_heads_kv, &at);
    const char *device = text + n + at, *end = found == 3 && at > 0 ? strchr(device, '\n') : NULL;
    if (!end || *device++ != ' ' || strcmp(end, "\nend\n") != 0) return false;
    bool row = f.row_error >= 0 && f.row_error <= 1 + HW_ROW_TOLERANCE;
    if (!row || (sinks != 0 && sinks != 1) || f.n_heads_kv < 0 || end - device >= (ptrdiff_t)sizeof f.device)
        return false;
    f.has_sinks = sinks;
    memcpy(f.device, device, (size_t)(end - device));
    *out = f;
    return true;
}

void hw__probe_cache_write(const hw__probe_identity *identity, const hw__probe_findings *f) {
    char text[8192];
    int n = snprintf(text, sizeof text, "%srow_error %a\nhas_sinks %d\nn_heads_kv %d\ndevice %s\nend\n", identity->text,
                     f->row_error, f->has_sinks, f->n_heads_kv, f->device);
    if (n > 0 && (size_t)n < sizeof text) hw__file_save(identity->path, text, (size_t)n, NULL);
}
