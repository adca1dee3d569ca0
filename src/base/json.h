/*
 * json.h - reads untrusted JSON, and stores bytes that are not UTF-8 in JSON.
 *
 * The getters' errors name the key and the accepted values. Text that is not UTF-8 is stored twice: readable under KEY,
 * with U+FFFD, and exact as hexadecimal digits under a second key.
 */
#ifndef HW_BASE_JSON_H
#define HW_BASE_JSON_H

#include "base/atomic_file.h"

#include <jansson.h>

/* Parses an object or array from text [n]; duplicate keys are rejected, "\u0000" is kept. Release with
 * json_decref(). */
hw_err hw__json_parse(json_t **out, const char *text, size_t n, hw_error *err);

/* The same for a file of at most 1 GiB. Errors name the file. */
hw_err hw__json_load(json_t **out, const char *path, hw_error *err);

/* Parses bytes [n] as json_loadb() does with `flags`. Returns NULL on failure and puts the reason in `why` (nullable).
 * *no_memory reports an allocation failure, which jansson itself may ignore. */
json_t *hw__json_read(const char *bytes, size_t n, size_t flags, bool *no_memory, json_error_t *reason);

/* As json_dumps(), but returns NULL on an allocation failure, where json_dumps() may return incomplete text. Free with
 * free(). */
char *hw__json_dump(const json_t *json, size_t flags);

/* Values of `object` (nullable: then every key is missing). Arrays and objects are borrowed. */
hw_err hw__json_int(int64_t *out, const json_t *object, const char *key, int64_t min, int64_t max, hw_error *err);
hw_err hw__json_bool(bool *out, const json_t *object, const char *key, hw_error *err);
hw_err hw__json_real(double *out, const json_t *object, const char *key, hw_error *err); /* null is read as NaN */
hw_err hw__json_array(const json_t **out, const json_t *object, const char *key, hw_error *err);
hw_err hw__json_object(const json_t **out, const json_t *object, const char *key, hw_error *err);
/* A string without NUL, borrowed. */
hw_err hw__json_word(const char **out, const json_t *object, const char *key, hw_error *err);
/* Exact bytes [*n] with a terminator appended, malloc'd: the value of `hex_key` if present, else of `key`. */
hw_err hw__json_text(char **out, size_t *n, const json_t *object, const char *key, const char *hex_key, hw_error *err);

/* Sets `key` in the object; appends one value to the array. These functions accept NULL for a value that could not be
 * made, and return NULL and release both arguments in that case or when memory runs out, so a tree built from nested
 * calls is complete or NULL. */
json_t *hw__json_set(json_t *object, const char *key, json_t *value);
json_t *hw__json_append(json_t *list, json_t *value);
/* Sets `key`, and also `hex_key` if bytes [n] are not UTF-8. False when memory runs out. */
bool hw__json_put_text(json_t *object, const char *key, const char *hex_key, const char *bytes, size_t n);
/* bytes [n] as a string, with U+FFFD for bytes that are not UTF-8. */
json_t *hw__json_replaced(const char *bytes, size_t n);
/* The longest prefix of bytes [n] that is UTF-8, as a string: for text that may end inside a character. */
json_t *hw__json_front(const char *bytes, size_t n);
/* A number, printed as the shortest decimal that reads back to the same float; null for NaN and infinity. */
json_t *hw__json_float(float value);
/* A number; null for NaN and infinity. */
json_t *hw__json_double(double value);

#endif
