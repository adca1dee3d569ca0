/* safe_text.h - bytes from models, files and the command line, made safe and measurable for a terminal. */
#ifndef HW_CLI_SAFE_TEXT_H
#define HW_CLI_SAFE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

typedef enum glyph_kind { GLYPH_INK, GLYPH_SPACE, GLYPH_NEWLINE, GLYPH_TAB } glyph_kind;

/* One character as it is shown. */
typedef struct glyph {
    char utf8[16]; /* [n_bytes] printable, never a control character */
    size_t n_bytes;
    size_t n_source; /* bytes of the text that it stands for, at least 1 */
    int width;       /* columns; 0: drawn onto the character before it */
    glyph_kind kind;
    bool wide; /* of a script that breaks lines between any two characters */
} glyph;

/* The first character of [n] bytes, n > 0. Newline, tab and control characters come as visible symbols,
 * a byte that belongs to no character as ‹E2›, characters without a shape of their own (bidi overrides, tags) as their number. */
glyph text_glyph(const char *bytes, size_t n);

/* How many of [n] bytes are whole characters: less than n when they end within one. */
size_t text_whole(const char *bytes, size_t n);

/* Writes [n] bytes sanitised. `lines`: newlines and tabs are themselves; otherwise they are shown. */
void text_print(FILE *out, const char *bytes, size_t n, bool lines);
void text_puts(FILE *out, const char *s); /* a terminated string, newlines and tabs shown */

/* Bytes of words, each of one-column characters and one space apart, that fit `width`; at least one word. */
size_t text_line(const char *text, int width);

/* A token on one line of a list: leading spaces as dots, cut with an ellipsis at `max_width` columns. */
typedef struct label {
    char utf8[512];
    int width;
} label;
label text_label(const char *bytes, size_t n, int max_width);

/* Completion bytes as they arrive: what ends within a character is held back until the rest is there. */
typedef struct stream {
    FILE *out;
    char held[4];
    size_t n_held;
    bool ended_line; /* the last byte written was a newline */
} stream;
void stream_write(stream *s, const char *bytes, size_t n);
void stream_end(stream *s); /* what is still held will never be whole: shown replaced */

#endif
