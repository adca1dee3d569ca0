/* safe_text.h - sanitises and measures bytes from models, files and the command line for a terminal. */
#ifndef HW_CLI_SAFE_TEXT_H
#define HW_CLI_SAFE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

typedef enum glyph_kind { GLYPH_INK, GLYPH_SPACE, GLYPH_NEWLINE, GLYPH_TAB } glyph_kind;

/* One character in displayed form. */
typedef struct glyph {
    char utf8[16]; /* [n_bytes] printable, never a control character */
    size_t n_bytes;
    size_t n_source; /* bytes of the source text, at least 1 */
    int width;       /* columns; 0: combines with the previous character */
    glyph_kind kind;
    bool wide; /* of a script that allows line breaks between any two characters */
} glyph;

/* The first character of [n] bytes, n > 0. Newline, tab and control characters become visible symbols, a byte that
 * belongs to no character becomes ‹E2›, characters without a glyph (bidi overrides, tags) become their number. */
glyph text_glyph(const char *bytes, size_t n);

/* Number of leading bytes of [n] that are whole characters: less than n if the text ends inside a character. */
size_t text_whole(const char *bytes, size_t n);

/* Writes [n] bytes sanitised. `lines`: newlines and tabs are written as they are; otherwise as symbols. */
void text_print(FILE *out, const char *bytes, size_t n, bool lines);
void text_puts(FILE *out, const char *s); /* a terminated string; newlines and tabs as symbols */

/* Number of bytes of the words that fit `width` columns, at least one word; words have one-column characters and are
 * one space apart. */
size_t text_line(const char *text, int width);

/* A token on one line of a list: leading spaces as dots, truncated with an ellipsis at `max_width` columns. */
typedef struct label {
    char utf8[512];
    int width;
} label;
label text_label(const char *bytes, size_t n, int max_width);

/* Prints completion bytes as they arrive: an incomplete character is held back until the rest arrives. */
typedef struct stream {
    FILE *out;
    char held[4];
    size_t n_held;
    bool ended_line; /* the last byte written was a newline */
} stream;
void stream_write(stream *s, const char *bytes, size_t n);
void stream_end(stream *s); /* prints the bytes of an incomplete character at the end, in displayed form */

#endif
