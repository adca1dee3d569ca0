/*
 * utf8.h - validates UTF-8, and turns any bytes into valid text. Tokens may hold part of a character; JSON, CSV and
 * messages may not.
 */
#ifndef HW_BASE_UTF8_H
#define HW_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Whether bytes [n] are UTF-8 (no surrogates, no overlong forms). NUL is accepted as a character. */
bool hw__utf8_valid(const char *bytes, size_t n);
/* The first byte that does not begin a valid character; n if there is none. */
size_t hw__utf8_invalid(const char *bytes, size_t n);

/* Characters (code points) of bytes [n] after hw__utf8_replace(). */
size_t hw__utf8_length(const char *bytes, size_t n);

/* Replaces in bytes [n] each longest run that begins a character but does not complete it, and each stray byte, by
 * U+FFFD, as decoders do. malloc'd [*n_out] with a terminator appended; NULL when memory runs out. */
char *hw__utf8_replace(size_t *n_out, const char *bytes, size_t n);
/* The same for display: each byte that is not part of a valid character is written as ‹E2›. */
char *hw__utf8_shown(size_t *n_out, const char *bytes, size_t n);

enum { HW__UTF8_BYTE = 8 }; /* bytes of ‹E2› */
/* Writes ‹E2› to out, without a terminator. */
void hw__utf8_byte(char out[HW__UTF8_BYTE], unsigned char byte);

/* Writes bytes [n] to out [capacity], capacity >= 8, as one line for a message: invalid bytes displayed as above,
 * control characters as '?', truncated between characters if it does not fit. Returns out. */
char *hw__utf8_line(char *out, size_t capacity, const char *bytes, size_t n);

#endif
