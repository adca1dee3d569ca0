/*
 * utf8.h - telling UTF-8 from other bytes, and making text of any bytes. Tokens may hold half a character;
 * JSON, CSV and messages may not.
 */
#ifndef HW_BASE_UTF8_H
#define HW_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Whether bytes [n] are UTF-8 (no surrogates, no overlong forms). NUL is a character like any other. */
bool hw__utf8_valid(const char *bytes, size_t n);
/* The first byte that begins no character; n where there is none. */
size_t hw__utf8_invalid(const char *bytes, size_t n);

/* bytes [n] with each longest run that begins a character but does not end it, and each stray byte, replaced
 * by U+FFFD: what a decoder makes of them. malloc'd, [*n_out] and a terminator behind; NULL when there is no memory. */
char *hw__utf8_replace(size_t *n_out, const char *bytes, size_t n);
/* The same for readers: each byte that belongs to no character is written as ‹E2›. */
char *hw__utf8_shown(size_t *n_out, const char *bytes, size_t n);

enum { HW__UTF8_BYTE = 8 }; /* bytes of ‹E2› */
/* Writes ‹E2› to out, without a terminator. */
void hw__utf8_byte(char out[HW__UTF8_BYTE], unsigned char byte);

/* Writes bytes [n] to out [room], room >= 8, as one line for a message: shown as above, control characters as
 * '?', cut between characters where too long. Returns out. */
char *hw__utf8_line(char *out, size_t room, const char *bytes, size_t n);

#endif
