/* utf8.c - ICU's U8_NEXT over windows of at most four bytes, so that lengths above 2 GiB work too. */
#include "base/utf8.h"

#include "base/error.h"

#include <unicode/utf8.h>

#include <string.h>

enum { LONGEST = 4 }; /* bytes of the longest character, and of U+FFFD with a terminator */
static const char replacement[] = "\xEF\xBF\xBD";

/* Bytes of the character at `at` (at < n); *c is negative if they are not valid UTF-8. */
static size_t next(UChar32 *c, const char *bytes, size_t n, size_t at) {
    const uint8_t *s = (const uint8_t *)bytes + at;
    int32_t i = 0, left = n - at < LONGEST ? (int32_t)(n - at) : LONGEST;
    U8_NEXT(s, i, left, *c);
    return (size_t)i;
}

size_t hw__utf8_invalid(const char *bytes, size_t n) {
    UChar32 c;
    for (size_t at = 0, taken; at < n; at += taken) {
        taken = next(&c, bytes, n, at);
        if (c < 0) return at;
    }
    return n;
}

bool hw__utf8_valid(const char *bytes, size_t n) { return hw__utf8_invalid(bytes, n) == n; }

size_t hw__utf8_length(const char *bytes, size_t n) {
    UChar32 c;
    size_t count = 0;
    for (size_t at = 0; at < n; count++) at += next(&c, bytes, n, at);
    return count;
}

char *hw__utf8_replace(size_t *n_out, const char *bytes, size_t n) {
    size_t capacity, filled = 0;
    /* one byte becomes at most three */
    if (!hw__mul(&capacity, n, LONGEST - 1) || !hw__add(&capacity, capacity, 1)) return NULL;
    char *out = hw__alloc(capacity, 1);
    if (!out) return NULL;
    for (size_t at = 0; at < n;) {
        UChar32 c;
        size_t taken = next(&c, bytes, n, at), put = c < 0 ? LONGEST - 1 : taken;
        memcpy(out + filled, c < 0 ? replacement : bytes + at, put);
        filled += put;
        at += taken;
    }
    *n_out = filled;
    return out;
}

void hw__utf8_byte(char out[HW__UTF8_BYTE], unsigned char byte) {
    static const char digits[] = "0123456789ABCDEF";
    const char text[HW__UTF8_BYTE] = {'\xE2', '\x80', '\xB9', digits[byte >> 4], digits[byte & 15],
                                      '\xE2', '\x80', '\xBA'};
    memcpy(out, text, HW__UTF8_BYTE);
}

/* Writes the displayed form of the character at `at`, or of the single invalid byte there; *put is the number of bytes
 * written to out. Returns the bytes consumed. */
static size_t show(char out[HW__UTF8_BYTE], size_t *put, UChar32 *c, const char *bytes, size_t n, size_t at) {
    size_t taken = next(c, bytes, n, at);
    if (*c < 0) {
        hw__utf8_byte(out, (unsigned char)bytes[at]);
        *put = HW__UTF8_BYTE;
        return 1;
    }
    memcpy(out, bytes + at, taken);
    *put = taken;
    return taken;
}

char *hw__utf8_shown(size_t *n_out, const char *bytes, size_t n) {
    size_t capacity, filled = 0;
    if (!hw__mul(&capacity, n, HW__UTF8_BYTE) || !hw__add(&capacity, capacity, 1)) return NULL;
    char *out = hw__alloc(capacity, 1);
    if (!out) return NULL;
    for (size_t at = 0, put; at < n; filled += put) {
        UChar32 c;
        at += show(out + filled, &put, &c, bytes, n, at);
    }
    *n_out = filled;
    return out;
}

char *hw__utf8_line(char *out, size_t capacity, const char *bytes, size_t n) {
    size_t filled = 0;
    for (size_t at = 0; at < n;) {
        UChar32 c;
        char shown[HW__UTF8_BYTE];
        size_t put, taken = show(shown, &put, &c, bytes, n, at);
        if (filled + put >= capacity - (LONGEST - 1)) { /* reserves space for the truncation sign */
            memcpy(out + filled, "...", 3);
            filled += 3;
            break;
        }
        bool control = (c >= 0 && c < 0x20) || (c >= 0x7F && c < 0xA0) || c == 0x2028 || c == 0x2029;
        if (control) put = 1;
        memcpy(out + filled, control ? "?" : shown, put);
        filled += put;
        at += taken;
    }
    out[filled] = 0;
    return out;
}
