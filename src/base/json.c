/* json.c - jansson with checks; every refusal is HW_ERR_FORMAT. */
#include "base/json.h"

#include "base/utf8.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int FLAGS = JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL;
static const uint64_t MAX_FILE = 1u << 30; /* the tree of so many bytes takes about ten times as many */

static hw_err fail_parse(hw_error *err, const json_error_t *why) {
    char line[sizeof why->text * 2]; /* the message quotes the text */
    return hw__fail(err, HW_ERR_FORMAT, "no valid JSON: line %d: %s", why->line,
                    hw__utf8_line(line, sizeof line, why->text, strlen(why->text)));
}

hw_err hw__json_parse(json_t **out, const char *text, size_t n, hw_error *err) {
    json_error_t why;
    json_t *value = json_loadb(text, n, FLAGS, &why);
    if (!value) return fail_parse(err, &why);
    *out = value;
    return HW_OK;
}

hw_err hw__json_load(json_t **out, const char *path, hw_error *err) {
    FILE *stream;
    uint64_t n_bytes;
    hw_err rc = hw__file_open(&stream, &n_bytes, path, err);
    if (rc != HW_OK) return rc;
    json_error_t why;
    json_t *value = NULL;
    if (n_bytes > MAX_FILE)
        rc = hw__fail(err, HW_ERR_UNSUPPORTED, "JSON of %llu bytes: at most %llu are read", (unsigned long long)n_bytes,
                      (unsigned long long)MAX_FILE);
    else if (!(value = json_loadf(stream, FLAGS, &why)))
        rc = fail_parse(err, &why);
    fclose(stream);
    if (rc != HW_OK) return hw__fail_in(err, rc, "%s", path);
    *out = value;
    return HW_OK;
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

/* Bytes of lower-case hexadecimal [n], malloc'd; NULL where it is not that, or without memory. */
static char *decode_hex(const char *hex, size_t n) {
    char *out = n % 2 == 0 ? hw__alloc(n / 2 + 1, 1) : NULL;
    for (size_t i = 0; out && i < n; i += 2) {
        int high = hex_digit(hex[i]), low = hex_digit(hex[i + 1]);
        if (high < 0 || low < 0) {
            free(out);
            return NULL;
        }
        out[i / 2] = (char)(high << 4 | low);
    }
    return out;
}

static char *encode_hex(const char *bytes, size_t n) {
    static const char digits[] = "0123456789abcdef";
    size_t room;
    char *hex = hw__mul(&room, n, 2) && hw__add(&room, room, 1) ? hw__alloc(room, 1) : NULL;
    for (size_t i = 0; hex && i < n; i++) {
        hex[2 * i] = digits[(unsigned char)bytes[i] >> 4];
        hex[2 * i + 1] = digits[(unsigned char)bytes[i] & 15];
    }
    return hex;
}

/* Whether `text` is how bytes [n] read with U+FFFD. */
static bool reads_as(const char *bytes, size_t n, const json_t *text) {
    size_t n_read;
    char *read = hw__utf8_replace(&n_read, bytes, n);
    bool same = read && n_read == json_string_length(text) && memcmp(read, json_string_value(text), n_read) == 0;
    free(read);
    return same;
}

hw_err hw__json_text(char **out, size_t *n, const json_t *object, const char *key, const char *hex_key, hw_error *err) {
    const json_t *text = json_object_get(object, key), *hex = json_object_get(object, hex_key);
    if (!json_is_string(text)) return fail_key(err, key, "a string");
    if (hex && !json_is_string(hex)) return fail_key(err, hex_key, "a string of hexadecimal digits");
    size_t length = hex ? json_string_length(hex) / 2 : json_string_length(text);
    char *bytes = hex ? decode_hex(json_string_value(hex), json_string_length(hex))
                      : hw__strndup(json_string_value(text), length);
    if (!bytes)
        return hw__fail(err, HW_ERR_FORMAT, "\"%s\" is no string of lower-case hexadecimal digits, or too long",
                        hex ? hex_key : key);
    if (hex && !reads_as(bytes, length, text)) {
        free(bytes);
        return hw__fail(err, HW_ERR_FORMAT, "\"%s\" and \"%s\" say different things", key, hex_key);
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
    while (from < n) { /* a character at a time, so that one that is wrong ends it */
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
        decimal = strtod(text, NULL); /* the same locale wrote it */
        if ((float)decimal == value) break;
    }
    return json_real(decimal);
}

json_t *hw__json_double(double value) { return isfinite(value) ? json_real(value) : json_null(); }
