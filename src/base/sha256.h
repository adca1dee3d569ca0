/*
 * sha256.h - incremental SHA-256, as hexadecimal digits. Allocates nothing, so no function here can fail.
 */
#ifndef HW_BASE_SHA256_H
#define HW_BASE_SHA256_H

#include <stddef.h>

#include <openssl/sha.h>

enum { HW__SHA256_CAPACITY = 65 }; /* 64 digits and a terminator */

typedef struct hw__sha256 {
    SHA256_CTX state;
} hw__sha256;

void hw__sha256_begin(hw__sha256 *out);
void hw__sha256_add(hw__sha256 *hash, const void *bytes, size_t n);
/* Digest of the bytes added so far; more may be added afterwards. */
void hw__sha256_hex(const hw__sha256 *hash, char out[HW__SHA256_CAPACITY]);

#endif
