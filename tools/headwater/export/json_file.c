/* json_file.c - see json_file.h. */
#include "export/json_file.h"

#include "base/atomic_file.h"
#include "base/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

json_t *json_file_put_text(json_t *object, const char *key, const char *bytes, size_t n) {
    char hex_key[64];
    snprintf(hex_key, sizeof hex_key, "%s_bytes", key);
    if (object && hw__json_put_text(object, key, hex_key, bytes, n)) return object;
    json_decref(object);
    return NULL;
}

hw_err json_file_save(json_t *document, const char *path, hw_error *err) {
    char *text = document ? hw__json_dump(document, JSON_INDENT(1) | JSON_REAL_PRECISION(9)) : NULL;
    size_t n = text ? strlen(text) : 0;
    if (text) text[n] = '\n'; /* replaces the terminator */
    hw_err rc = text ? hw__file_save(path, text, n + 1, err)
                     : hw__fail(err, HW_ERR_MEMORY, "%s cannot be written: no memory", path);
    free(text);
    json_decref(document);
    return rc;
}
