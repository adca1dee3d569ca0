/*
 * safe_text.c - sanitises and measures bytes from models, files and the command line for a terminal.
 *
 * A token may contain anything: escape sequences, part of a character, invisible text. All output that the program did
 * not write itself passes through here. Width follows Unicode's East Asian Width, as in terminals.
 */
#include "cli/safe_text.h"

#include <string.h>
#include <unicode/uchar.h>
#include <unicode/utf16.h> /* utf8.h needs its macros in some releases of ICU */
#include <unicode/utf8.h>

#define ZERO_WIDTH_NON_JOINER 0x200C
#define ZERO_WIDTH_JOINER     0x200D
#define LONGEST_CHARACTER     4

/* Invisible, or moves the text around it: such characters must be shown in a view of the prompt. */
static bool is_invisible(UChar32 c) {
    if (c == ZERO_WIDTH_JOINER || c == ZERO_WIDTH_NON_JOINER) return false; /* scripts and emoji need them */
    if (U_IS_UNICODE_NONCHAR(c)) return true;
    switch (u_charType(c)) {
    case U_CONTROL_CHAR:
    case U_LINE_SEPARATOR:
    case U_PARAGRAPH_SEPARATOR: return true;
    case U_FORMAT_CHAR: return u_hasBinaryProperty(c, UCHAR_DEFAULT_IGNORABLE_CODE_POINT);
    default: return false;
    }
}

static int character_width(UChar32 c) {
    switch (u_charType(c)) {
    case U_NON_SPACING_MARK:
    case U_ENCLOSING_MARK:
    case U_FORMAT_CHAR: return 0;
    default: break;
    }
    int syllable = u_getIntPropertyValue(c, UCHAR_HANGUL_SYLLABLE_TYPE);
    if (syllable == U_HST_VOWEL_JAMO || syllable == U_HST_TRAILING_JAMO) return 0;
    int width = u_getIntPropertyValue(c, UCHAR_EAST_ASIAN_WIDTH);
    return width == U_EA_WIDE || width == U_EA_FULLWIDTH ? 2 : 1;
}

static void show_as(glyph *g, UChar32 c) {
    int32_t n = 0;
    uint8_t *bytes = (uint8_t *)g->utf8;
    U8_APPEND_UNSAFE(bytes, n, c);
    g->n_bytes = (size_t)n;
    g->width = character_width(c);
}

static void show_number(glyph *g, UChar32 c) {
    int n = snprintf(g->utf8, sizeof g->utf8, "‹U+%04X›", (unsigned)c);
    g->n_bytes = (size_t)n;
    g->width = n - 4; /* each of the two brackets has three bytes */
}

/* A byte that belongs to no complete character, displayed as in the library. */
static void show_byte(glyph *g, unsigned char byte) {
    g->n_source = 1;
    g->n_bytes = (size_t)snprintf(g->utf8, sizeof g->utf8, "‹%02X›", (unsigned)byte);
    g->width = 4;
}

static void show_control(glyph *g, UChar32 c) {
    if (c == '\n') {
        g->kind = GLYPH_NEWLINE;
        show_as(g, 0x23CE); /* return symbol */
    } else if (c == '\t') {
        g->kind = GLYPH_TAB;
        show_as(g, 0x21E5); /* rightwards arrow to bar */
    } else if (c < 0x20) {
        show_as(g, 0x2400 + c); /* control pictures */
    } else if (c == 0x7F) {
        show_as(g, 0x2421);
    } else {
        show_number(g, c);
    }
}

glyph text_glyph(const char *bytes, size_t n) {
    glyph g = {.kind = GLYPH_INK};
    const uint8_t *s = (const uint8_t *)bytes;
    int32_t at = 0, end = (int32_t)(n < LONGEST_CHARACTER ? n : LONGEST_CHARACTER);
    UChar32 c;
    U8_NEXT(s, at, end, c);
    g.n_source = (size_t)at;
    if (c < 0) {
        show_byte(&g, s[0]);
    } else if (is_invisible(c)) {
        show_control(&g, c);
    } else {
        show_as(&g, c);
        if (c == ' ') g.kind = GLYPH_SPACE;
        g.wide = g.width == 2;
    }
    return g;
}

size_t text_whole(const char *bytes, size_t n) {
    const uint8_t *s = (const uint8_t *)bytes;
    size_t before = n > LONGEST_CHARACTER ? n - LONGEST_CHARACTER : 0;
    int32_t length = (int32_t)(n - before);
    const uint8_t *tail = s + before;
    U8_TRUNCATE_IF_INCOMPLETE(tail, 0, length);
    return before + (size_t)length;
}

void text_print(FILE *out, const char *bytes, size_t n, bool lines) {
    for (size_t at = 0; at < n;) {
        glyph g = text_glyph(bytes + at, n - at);
        bool raw = lines && (g.kind == GLYPH_NEWLINE || g.kind == GLYPH_TAB);
        if (raw) {
            putc(bytes[at], out);
        } else {
            fwrite(g.utf8, 1, g.n_bytes, out);
        }
        at += g.n_source;
    }
}

void text_puts(FILE *out, const char *s) { text_print(out, s, strlen(s), false); }

size_t text_line(const char *text, int width) {
    size_t n = strcspn(text, " "), max = width > 0 ? (size_t)width : 0;
    while (text[n] == ' ') {
        size_t next = n + 1 + strcspn(text + n + 1, " ");
        if (next > max) break;
        n = next;
    }
    return n;
}

static bool append(label *to, size_t *used, const char *bytes, size_t n, int width) {
    if (*used + n >= sizeof to->utf8) return false;
    memcpy(to->utf8 + *used, bytes, n);
    *used += n;
    to->utf8[*used] = 0;
    to->width += width;
    return true;
}

label text_label(const char *bytes, size_t n, int max_width) {
    static const char dot[] = "·", ellipsis[] = "…";
    label all = {.width = 0}, cut = {.width = 0}; /* `cut` is the longest prefix that leaves one column free */
    size_t used = 0, cut_used = 0;
    bool leading = true;
    for (size_t at = 0; at < n;) {
        glyph g = text_glyph(bytes + at, n - at);
        leading = leading && g.kind == GLYPH_SPACE;
        bool fits = all.width + g.width <= max_width && used + g.n_bytes + sizeof ellipsis < sizeof all.utf8;
        if (!fits) {
            append(&cut, &cut_used, ellipsis, sizeof ellipsis - 1, 1);
            return cut;
        }
        if (leading) {
            append(&all, &used, dot, sizeof dot - 1, 1);
        } else {
            append(&all, &used, g.utf8, g.n_bytes, g.width);
        }
        at += g.n_source;
        if (all.width < max_width) {
            cut = all;
            cut_used = used;
        }
    }
    return all;
}

static void write_out(stream *s, const char *bytes, size_t n) {
    if (!n) return;
    text_print(s->out, bytes, n, true);
    s->ended_line = bytes[n - 1] == '\n';
}

void stream_write(stream *s, const char *bytes, size_t n) {
    while (n && s->n_held) { /* one byte at a time until the held character is complete, or invalid */
        s->held[s->n_held++] = *bytes++;
        n--;
        size_t whole = text_whole(s->held, s->n_held);
        write_out(s, s->held, whole);
        s->n_held -= whole;
        memmove(s->held, s->held + whole, s->n_held);
    }
    size_t whole = text_whole(bytes, n);
    write_out(s, bytes, whole);
    memcpy(s->held + s->n_held, bytes + whole, n - whole);
    s->n_held += n - whole;
    fflush(s->out);
}

void stream_end(stream *s) {
    write_out(s, s->held, s->n_held);
    s->n_held = 0;
    if (!s->ended_line) putc('\n', s->out);
    s->ended_line = true;
    fflush(s->out);
}
