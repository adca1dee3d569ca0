/* strlist.c - see strlist.h. */
#include "base/strlist.h"

#include <stdio.h>
#include <string.h>

static const char *array_name(size_t i, const void *ctx) { return ((const char *const *)ctx)[i]; }

hw__names hw__names_of(const char *const *words, size_t n) { return (hw__names){array_name, words, n}; }

char *hw__join_names_by(char *out, size_t capacity, hw__names names, const char *between, const char *last) {
    size_t at = 0, n = 0, shown = 0;
    for (size_t i = 0; i < names.n; i++) n += names.at(i, names.ctx) != NULL;
    out[0] = 0;
    for (size_t i = 0; i < names.n && at < capacity; i++) {
        const char *name = names.at(i, names.ctx);
        if (!name) continue;
        const char *before = shown == 0 ? "" : shown + 1 == n ? last : between;
        at += (size_t)snprintf(out + at, capacity - at, "%s%s", before, name);
        shown++;
    }
    return out;
}

char *hw__join_names(char *out, size_t capacity, hw__names names) {
    return hw__join_names_by(out, capacity, names, ", ", ", ");
}

/* Edit distance of two words, one row of Wagner and Fischer's table at a time. */
static size_t distance(const char *a, const char *b) {
    enum { MAX_LENGTH = 32 };
    size_t n = strlen(b), row[MAX_LENGTH + 1];
    if (n > MAX_LENGTH) return MAX_LENGTH;
    for (size_t k = 0; k <= n; k++) row[k] = k;
    for (size_t q = 0; a[q]; q++) {
        size_t diagonal = row[0];
        row[0] = q + 1;
        for (size_t k = 1; k <= n; k++) {
            size_t best = diagonal + (a[q] != b[k - 1]);
            if (row[k] + 1 < best) best = row[k] + 1;
            if (row[k - 1] + 1 < best) best = row[k - 1] + 1;
            diagonal = row[k];
            row[k] = best;
        }
    }
    return row[n];
}

const char *hw__nearest_name(const char *word, hw__names names) {
    const char *best = NULL;
    size_t min = strlen(word) / 3 + 2; /* a word with more edits than this is not suggested */
    for (size_t i = 0; i < names.n; i++) {
        const char *name = names.at(i, names.ctx);
        size_t d = name ? distance(word, name) : min;
        if (d < min && d < strlen(name)) {
            min = d;
            best = name;
        }
    }
    return best;
}

char *hw__unknown_name(char *out, size_t capacity, const char *word, hw__names names) {
    char list[700];
    const char *near = word ? hw__nearest_name(word, names) : NULL;
    snprintf(out, capacity, "unknown name%s%s%s; accepted: %s", near ? ", did you mean " : "", near ? near : "",
             near ? "?" : "", hw__join_names(list, sizeof list, names));
    return out;
}
