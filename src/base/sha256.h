/*
 * sha256.h - SHA-256 of bytes that come in pieces, as hexadecimal digits.
 *
 * Failures are sticky: there is one to look at, where the digits are asked for.
 */
#ifndef HW_BASE_SHA256_H
#define HW_BASE_SHA256_H

#include <stdbool.h>
#include <stddef.h>

enum { HW__SHA256_ROOM = 65 }; /* digits and a terminator */

typedef struct hw__sha256 {
    struct evp_md_ctx_st *ctx;
    bool failed;
} hw__sha256;

void hw__sha256_begin(hw__sha256 *out);
void hw__sha256_add(hw__sha256 *hash, const void *bytes, size_t n);
/* Of what was added so far; more may follow. False: there is no memory. */
bool hw__sha256_hex(const hw__sha256 *hash, char out[HW__SHA256_ROOM]);
void hw__sha256_end(hw__sha256 *hash);

#endif
