/* json_file.c - a JSON document as a file that is whole or not there: written beside the wanted name, then renamed. */
#include "export/json_file.h"

#include "cli/message.h"
#include "export/atomic_file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unicode/utf16.h> /* utf8.h needs its macros in some releases of ICU */
#include <unicode/utf8.h>

json_t *json_file_text(const char *bytes, size_t n) {
    json_t *text = json_stringn(bytes, n);
    return text ? text : json_null();
}

/* bytes [n] with U+FFFD for what is no UTF-8; malloc'd [*n_out]. */
static char *replaced(size_t *n_out, const char *bytes, size_t n) {
    static const char instead[] = "\xEF\xBF\xBD";
    char *out = malloc(n * (sizeof instead - 1) + 1);
    size_t used = 0;
    for (size_t at = 0; out && at < n;) {
        int32_t i = 0, left = n - at < 4 ? (int32_t)(n - at) : 4;
        UChar32 c;
        U8_NEXT((const uint8_t *)bytes + at, i, left, c);
        const char *from = c < 0 ? instead : bytes + at;
        size_t length = c < 0 ? sizeof instead - 1 : (size_t)i;
        memcpy(out + used, from, length);
        used += length;
        at += (size_t)i;
    }
    *n_out = used;
    return out;
}

static json_t *hex_of(const char *bytes, size_t n) {
    char *text = malloc(2 * n + 1);
    for (size_t i = 0; text && i < n; i++) snprintf(text + 2 * i, 3, "%02x", (unsigned char)bytes[i]);
    json_t *hex = text ? json_stringn(text, 2 * n) : NULL;
    free(text);
    return hex;
}

void json_file_put_text(json_t *object, const char *key, const char *bytes, size_t n) {
    json_t *text = json_stringn(bytes, n);
    if (!text) {
        char name[64];
        size_t n_shown;
        char *shown = replaced(&n_shown, bytes, n);
        if (shown) text = json_stringn(shown, n_shown);
        free(shown);
        snprintf(name, sizeof name, "%s_bytes", key);
        json_object_set_new(object, name, hex_of(bytes, n));
    }
    json_object_set_new(object, key, text);
}

json_t *json_file_number(double v) { return isfinite(v) ? json_real(v) : json_null(); }

bool json_file_save(json_t *document, const char *path) {
    hw_error err = {.code = HW_ERR_MEMORY};
    char *text = document ? json_dumps(document, JSON_INDENT(1) | JSON_REAL_PRECISION(9)) : NULL;
    size_t n = text ? strlen(text) : 0;
    snprintf(err.msg, sizeof err.msg, "%s cannot be written: no memory", path);
    if (text) text[n] = '\n'; /* in place of the terminator */
    bool ok = text && whole_write(path, text, n + 1, &err) == HW_OK;
    if (!ok) fail("%s", err.msg);
    free(text);
    json_decref(document);
    return ok;
}
