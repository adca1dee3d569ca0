/* utf8.c - ICU's U8_NEXT over windows of at most four bytes, so that lengths beyond 2 GiB work too. */
#include "base/utf8.h"

#include "base/error.h"

#include <unicode/utf8.h>

#include <string.h>

enum { LONGEST = 4 }; /* bytes of one character, and of U+FFFD with its terminator */
static const char replacement[] = "\xEF\xBF\xBD";

/* Bytes taken by the character at `at` (at < n); *c is negative where they are none. */
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

char *hw__utf8_replace(size_t *n_out, const char *bytes, size_t n) {
    size_t room, filled = 0;
    if (!hw__mul(&room, n, LONGEST - 1) || !hw__add(&room, room, 1)) return NULL; /* a byte becomes three at most */
    char *out = hw__alloc(room, 1);
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

char *hw__utf8_line(char *out, size_t room, const char *bytes, size_t n) {
    size_t filled = 0;
    for (size_t at = 0; at < n;) {
        UChar32 c;
        size_t taken = next(&c, bytes, n, at), put = c < 0 ? LONGEST - 1 : taken;
        if (filled + put >= room - (LONGEST - 1)) { /* keeps room for the sign that something is missing */
            memcpy(out + filled, "...", 3);
            filled += 3;
            break;
        }
        bool control = (c >= 0 && c < 0x20) || (c >= 0x7F && c < 0xA0) || c == 0x2028 || c == 0x2029;
        if (control) put = 1;
        memcpy(out + filled, control ? "?" : c < 0 ? replacement : bytes + at, put);
        filled += put;
        at += taken;
    }
    out[filled] = 0;
    return out;
}
