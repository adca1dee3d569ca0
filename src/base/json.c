/* json.c - jansson with checks; every rejected input is HW_ERR_FORMAT. */
#include "base/json.h"

#include "base/utf8.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int FLAGS = JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL;
static const uint64_t MAX_FILE = 1u << 30; /* the parsed tree takes about ten times this */

/* ------------------------------------------------------------------ allocation failures that jansson ignores
 *
 * jansson's parser continues after a failed allocation of a token buffer, with a byte missing from the text or the
 * number, and its printer leaves out a quote or a comma. So this file wraps the allocation functions and records
 * failures. The previously set functions are still called; a program that sets other functions later only loses the
 * record. */

static json_malloc_t next_malloc;
static json_free_t next_free;
static _Thread_local bool alloc_failed; /* an allocation of this thread has failed since this was cleared */

static void *noted_malloc(size_t n) {
    void *block = next_malloc(n);
    if (!block) alloc_failed = true;
    return block;
}

static void note_failures(void) {
    json_get_alloc_funcs(&next_malloc, &next_free);
    json_set_alloc_funcs(noted_malloc, next_free);
}

static void begin(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, note_failures);
    alloc_failed = false;
}

/* ------------------------------------------------------------------ reading */

static hw_err fail_parse(hw_error *err, const json_error_t *reason) {
    if (alloc_failed) return hw__fail(err, HW_ERR_MEMORY, "out of memory: JSON");
    char line[sizeof reason->text * 2]; /* the message quotes the input text */
    return hw__fail(err, HW_ERR_FORMAT, "no valid JSON: line %d: %s", reason->line,
                    hw__utf8_line(line, sizeof line, reason->text, strlen(reason->text)));
}

hw_err hw__json_parse(json_t **out, const char *text, size_t n, hw_error *err) {
    json_error_t reason;
    begin();
    json_t *value = json_loadb(text, n, FLAGS, &reason);
    if (!value || alloc_failed) {
        json_decref(value);
        return fail_parse(err, &reason);
    }
    *out = value;
    return HW_OK;
}

hw_err hw__json_load(json_t **out, const char *path, hw_error *err) {
    FILE *stream;
    uint64_t n_bytes;
    hw_err rc = hw__file_open(&stream, &n_bytes, path, err);
    if (rc != HW_OK) return rc;
    json_error_t reason;
    json_t *value = NULL;
    begin();
    if (n_bytes > MAX_FILE)
        rc = hw__fail(err, HW_ERR_UNSUPPORTED, "JSON of %llu bytes: at most %llu are read", (unsigned long long)n_bytes,
                      (unsigned long long)MAX_FILE);
    else if (!(value = json_loadf(stream, FLAGS, &reason)) || alloc_failed)
        rc = fail_parse(err, &reason);
    fclose(stream);
    if (rc != HW_OK) {
        json_decref(value);
        return hw__fail_in(err, rc, "%s", path);
    }
    *out = value;
    return HW_OK;
}

json_t *hw__json_read(const char *bytes, size_t n, size_t flags, bool *no_memory, json_error_t *reason) {
    json_error_t ignored;
    begin();
    json_t *json = json_loadb(bytes, n, flags, reason ? reason : &ignored);
    *no_memory = alloc_failed;
    if (!alloc_failed) return json;
    json_decref(json);
    return NULL;
}

json_t *hw__json_set(json_t *object, const char *key, json_t *value) {
    bool ok = object && value && json_object_set(object, key, value) == 0;
    json_decref(value);
    if (ok) return object;
    json_decref(object);
    return NULL;
}

json_t *hw__json_append(json_t *list, json_t *value) {
    bool ok = list && value && json_array_append(list, value) == 0;
    json_decref(value);
    if (ok) return list;
    json_decref(list);
    return NULL;
}

char *hw__json_dump(const json_t *json, size_t flags) {
    begin();
    char *text = json_dumps(json, flags);
    if (!alloc_failed) return text;
    free(text);
    return NULL;
}

static hw_err fail_key(hw_error *err, const char *key, const char *accepted) {
    return hw__fail(err, HW_ERR_FORMAT, "\"%s\" must be there and be %s", key, accepted);
}

hw_err hw__json_int(int64_t *out, const json_t *object, const char *key, int64_t min, int64_t max, hw_error *err) {
    const json_t *v = json_object_get(object, key);
    if (!json_is_integer(v)) return fail_key(err, key, "a whole number");
    if (json_integer_value(v) < min || json_integer_value(v) > max)
        return hw__fail(err, HW_ERR_FORMAT, "\"%s\" is %lld: %lld to %lld is accepted", key,
                        (long long)json_integer_value(v), (long long)min, (long long)max);
    *out = json_integer_value(v);
    return HW_OK;
}

hw_err hw__json_bool(bool *out, const json_t *object, const char *key, hw_error *err) {
    const json_t *v = json_object_get(object, key);
    if (!json_is_boolean(v)) return fail_key(err, key, "true or false");
    *out = json_is_true(v);
    return HW_OK;
}

hw_err hw__json_real(double *out, const json_t *object, const char *key, hw_error *err) {
    const json_t *v = json_object_get(object, key);
    if (!json_is_number(v) && !json_is_null(v)) return fail_key(err, key, "a number or null");
    *out = json_is_null(v) ? NAN : json_number_value(v);
    return HW_OK;
}

hw_err hw__json_array(const json_t **out, const json_t *object, const char *key, hw_error *err) {
    const json_t *v = json_object_get(object, key);
    if (!json_is_array(v)) return fail_key(err, key, "a list");
    *out = v;
    return HW_OK;
}

hw_err hw__json_object(const json_t **out, const json_t *object, const char *key, hw_error *err) {
    const json_t *v = json_object_get(object, key);
    if (!json_is_object(v)) return fail_key(err, key, "an object");
    *out = v;
    return HW_OK;
}

hw_err hw__json_word(const char **out, const json_t *object, const char *key, hw_error *err) {
    const json_t *v = json_object_get(object, key);
    if (!json_is_string(v) || strlen(json_string_value(v)) != json_string_length(v))
        return fail_key(err, key, "a string without NUL");
    *out = json_string_value(v);
    return HW_OK;
}

/* ------------------------------------------------------------------ bytes that are not text */

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
}

static bool is_hex(const char *hex, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (hex_digit(hex[i]) < 0) return false;
    return n % 2 == 0;
}

/* Decodes hexadecimal digits [n]; malloc'd, NULL when memory runs out. */
static char *decode_hex(const char *hex, size_t n) {
    char *out = hw__alloc(n / 2 + 1, 1);
    for (size_t i = 0; out && i + 1 < n; i += 2) out[i / 2] = (char)(hex_digit(hex[i]) << 4 | hex_digit(hex[i + 1]));
    return out;
}

static char *encode_hex(const char *bytes, size_t n) {
    static const char digits[] = "0123456789abcdef";
    size_t capacity;
    char *hex = hw__mul(&capacity, n, 2) && hw__add(&capacity, capacity, 1) ? hw__alloc(capacity, 1) : NULL;
    for (size_t i = 0; hex && i < n; i++) {
        hex[2 * i] = digits[(unsigned char)bytes[i] >> 4];
        hex[2 * i + 1] = digits[(unsigned char)bytes[i] & 15];
    }
    return hex;
}

/* Rejects a `text` that differs from bytes [n] decoded with U+FFFD. */
static hw_err check_reading(const char *bytes, size_t n, const json_t *text, const char *key, const char *hex_key,
                            hw_error *err) {
    size_t n_read;
    char *read = hw__utf8_replace(&n_read, bytes, n);
    if (!read) return hw__fail_memory(err, key, n, 1);
    bool same = n_read == json_string_length(text) && memcmp(read, json_string_value(text), n_read) == 0;
    free(read);
    return same ? HW_OK : hw__fail(err, HW_ERR_FORMAT, "\"%s\" and \"%s\" contradict each other", key, hex_key);
}

hw_err hw__json_text(char **out, size_t *n, const json_t *object, const char *key, const char *hex_key, hw_error *err) {
    const json_t *text = json_object_get(object, key), *hex = json_object_get(object, hex_key);
    if (!json_is_string(text)) return fail_key(err, key, "a string");
    if (hex && !json_is_string(hex)) return fail_key(err, hex_key, "a string of hexadecimal digits");
    if (hex && !is_hex(json_string_value(hex), json_string_length(hex)))
        return hw__fail(err, HW_ERR_FORMAT, "\"%s\" must be pairs of lower-case hexadecimal digits", hex_key);
    size_t length = hex ? json_string_length(hex) / 2 : json_string_length(text);
    char *bytes = hex ? decode_hex(json_string_value(hex), json_string_length(hex))
                      : hw__strndup(json_string_value(text), length);
    if (!bytes) return hw__fail_memory(err, key, length, 1);
    hw_err rc = hex ? check_reading(bytes, length, text, key, hex_key, err) : HW_OK;
    if (rc != HW_OK) {
        free(bytes);
        return rc;
    }
    *out = bytes;
    *n = length;
    return HW_OK;
}

bool hw__json_put_text(json_t *object, const char *key, const char *hex_key, const char *bytes, size_t n) {
    if (hw__utf8_valid(bytes, n)) return json_object_set_new(object, key, json_stringn(bytes, n)) == 0;
    size_t n_text;
    char *text = hw__utf8_replace(&n_text, bytes, n), *hex = encode_hex(bytes, n);
    bool ok = text && hex && json_object_set_new(object, key, json_stringn(text, n_text)) == 0 &&
              json_object_set_new(object, hex_key, json_string(hex)) == 0;
    free(text);
    free(hex);
    return ok;
}

json_t *hw__json_replaced(const char *bytes, size_t n) {
    size_t n_text;
    char *text = hw__utf8_replace(&n_text, bytes, n);
    json_t *json = text ? json_stringn(text, n_text) : NULL;
    free(text);
    return json;
}

json_t *hw__json_front(const char *bytes, size_t n) {
    size_t from = 0;
    while (from < n) { /* appends one character at a time, so that the first invalid one ends the text */
        size_t length = 1;
        while (length <= 4 && from + length <= n && !hw__utf8_valid(bytes + from, length)) length++;
        if (length > 4 || from + length > n) break;
        from += length;
    }
    return json_stringn(bytes, from);
}

/* ------------------------------------------------------------------ numbers */

json_t *hw__json_float(float value) {
    if (!isfinite(value)) return json_null();
    double decimal = value;
    for (int digits = 1; digits <= 9; digits++) {
        char text[32];
        snprintf(text, sizeof text, "%.*g", digits, (double)value);
        decimal = strtod(text, NULL); /* snprintf wrote it in the same locale */
        if ((float)decimal == value) break;
    }
    return json_real(decimal);
}

json_t *hw__json_double(double value) { return isfinite(value) ? json_real(value) : json_null(); }
