/* files.c - see files.h. A failure of the helper itself aborts: no test means anything after it. */
#include "support/files.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];

/* NDEBUG must not take the checks away. */
static void need(bool ok, const char *what) {
    if (ok) return;
    perror(what);
    abort();
}

int files_setup(void **state) {
    (void)state;
    strcpy(folder, "/tmp/headwater-test-XXXXXX");
    need(mkdtemp(folder) != NULL, folder);
    return 0;
}

static size_t each_entry(bool removes) {
    size_t n = 0;
    DIR *dir = opendir(folder);
    need(dir != NULL, folder);
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        n++;
        if (removes) need(remove(temp_path(entry->d_name)) == 0, entry->d_name);
    }
    closedir(dir);
    return n;
}

size_t temp_count(void) { return each_entry(false); }
void temp_clear(void) { each_entry(true); }

int files_teardown(void **state) {
    (void)state;
    temp_clear();
    need(rmdir(folder) == 0, folder);
    return 0;
}

const char *temp_path(const char *name) {
    static char buffers[8][512];
    static unsigned turn;
    char *buffer = buffers[turn++ % 8];
    snprintf(buffer, sizeof buffers[0], "%s/%s", folder, name);
    return buffer;
}

void write_bytes(const char *path, const void *bytes, size_t n) {
    FILE *f = fopen(path, "wb");
    need(f != NULL, path);
    need(n == 0 || fwrite(bytes, 1, n, f) == n, path);
    need(fclose(f) == 0, path);
}

char *read_bytes(const char *path, size_t *n) {
    FILE *f = fopen(path, "rb");
    struct stat st;
    need(f != NULL && fstat(fileno(f), &st) == 0, path);
    *n = (size_t)st.st_size;
    char *bytes = calloc(*n + 1, 1);
    need(bytes != NULL && fread(bytes, 1, *n, f) == *n, path);
    fclose(f);
    return bytes;
}

void patch_byte(const char *path, size_t at, char byte) {
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    need(fd >= 0 && pwrite(fd, &byte, 1, (off_t)at) == 1 && close(fd) == 0, path);
}

void cut_file(const char *path, size_t n) { need(truncate(path, (off_t)n) == 0, path); }

bool same_file(const char *path, const void *bytes, size_t n) {
    size_t n_file;
    char *file = read_bytes(path, &n_file);
    bool same = n_file == n && memcmp(file, bytes, n) == 0;
    free(file);
    return same;
}

void write_container(const char *path, const char *header, const void *data, size_t n) {
    uint64_t length = strlen(header);
    unsigned char *bytes = malloc(8 + length + n);
    need(bytes != NULL, path);
    for (int i = 0; i < 8; i++) bytes[i] = (unsigned char)(length >> (8 * i));
    memcpy(bytes + 8, header, length);
    if (n) memcpy(bytes + 8 + length, data, n);
    write_bytes(path, bytes, 8 + length + n);
    free(bytes);
}
