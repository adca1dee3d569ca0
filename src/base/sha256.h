/*
 * sha256.h - SHA-256 of bytes that come in pieces, as hexadecimal digits. Takes no memory, so nothing here can fail.
 */
#ifndef HW_BASE_SHA256_H
#define HW_BASE_SHA256_H

#include <stddef.h>

#include <openssl/sha.h>

enum { HW__SHA256_ROOM = 65 }; /* digits and a terminator */

typedef struct hw__sha256 {
    SHA256_CTX state;
} hw__sha256;

void hw__sha256_begin(hw__sha256 *out);
void hw__sha256_add(hw__sha256 *hash, const void *bytes, size_t n);
/* Of what was added so far; more may follow. */
void hw__sha256_hex(const hw__sha256 *hash, char out[HW__SHA256_ROOM]);

#endif
