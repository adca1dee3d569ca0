/*
 * json.h - reading JSON that may say anything, and keeping bytes in it that are not text.
 *
 * The getters name the key and what is accepted there. Text is held twice where it is not UTF-8: readable under KEY,
 * with U+FFFD, and exact as hexadecimal under a second key.
 */
#ifndef HW_BASE_JSON_H
#define HW_BASE_JSON_H

#include "base/atomic_file.h"

#include <jansson.h>

/* An object or array from text [n]; duplicate keys are refused, "\u0000" is kept. Release with json_decref(). */
hw_err hw__json_parse(json_t **out, const char *text, size_t n, hw_error *err);

/* The same of a file of at most 1 GiB. Errors name the file. */
hw_err hw__json_load(json_t **out, const char *path, hw_error *err);

/* JSON of bytes [n] as json_loadb() with `flags` reads it, or NULL and in `why` (nullable) the reason. A lack of memory, which
 * jansson can pass over, is one: *no_memory. */
json_t *hw__json_read(const char *bytes, size_t n, size_t flags, bool *no_memory, json_error_t *why);

/* As json_dumps(), which can leave out what it had no memory for: whole, or NULL. free() */
char *hw__json_dump(const json_t *json, size_t flags);

/* Values of `object` (nullable: then every key is missing). Arrays and objects are borrowed. */
hw_err hw__json_int(int64_t *out, const json_t *object, const char *key, int64_t min, int64_t max, hw_error *err);
hw_err hw__json_bool(bool *out, const json_t *object, const char *key, hw_error *err);
hw_err hw__json_real(double *out, const json_t *object, const char *key, hw_error *err); /* null reads as NaN */
hw_err hw__json_array(const json_t **out, const json_t *object, const char *key, hw_error *err);
hw_err hw__json_object(const json_t **out, const json_t *object, const char *key, hw_error *err);
/* A string without NUL, borrowed. */
hw_err hw__json_word(const char **out, const json_t *object, const char *key, hw_error *err);
/* Exact bytes [*n] with a terminator behind, malloc'd: `hex_key`'s where it is there, else `key`'s. */
hw_err hw__json_text(char **out, size_t *n, const json_t *object, const char *key, const char *hex_key, hw_error *err);

/* The object with `key` set; the list with one value more. A tree made by these is whole or NULL: they take NULL as what could
 * not be made, and give NULL, with both arguments released, for that and where there is no memory. */
json_t *hw__json_set(json_t *object, const char *key, json_t *value);
json_t *hw__json_append(json_t *list, json_t *value);
/* Sets `key`, and where bytes [n] are not UTF-8 `hex_key` too. False when there is no memory. */
bool hw__json_put_text(json_t *object, const char *key, const char *hex_key, const char *bytes, size_t n);
/* bytes [n] as a string, U+FFFD where they are not UTF-8. */
json_t *hw__json_replaced(const char *bytes, size_t n);
/* The longest front of bytes [n] that is UTF-8, as a string: text that may end within a character. */
json_t *hw__json_front(const char *bytes, size_t n);
/* A number that prints as the shortest decimal that reads back to the same float; null for NaN and infinity. */
json_t *hw__json_float(float value);
/* A number, null for NaN and infinity. */
json_t *hw__json_double(double value);

#endif
