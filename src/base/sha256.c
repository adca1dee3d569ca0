/*
 * sha256.c - see sha256.h; libcrypto computes. Uses its plain functions, because those of EVP first load providers, and
 * if an allocation fails meanwhile the process crashes or waits for ever (OpenSSL 3.0). The plain functions allocate
 * nothing.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "base/sha256.h"

#include <stdio.h>

void hw__sha256_begin(hw__sha256 *out) { SHA256_Init(&out->state); }

void hw__sha256_add(hw__sha256 *hash, const void *bytes, size_t n) { SHA256_Update(&hash->state, bytes, n); }

void hw__sha256_hex(const hw__sha256 *hash, char out[HW__SHA256_CAPACITY]) {
    unsigned char digest[SHA256_DIGEST_LENGTH];
    SHA256_CTX copy = hash->state;
    SHA256_Final(digest, &copy);
    for (size_t i = 0; i < sizeof digest; i++) snprintf(out + 2 * i, 3, "%02x", digest[i]);
}
