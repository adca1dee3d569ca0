/* sha256.c - see sha256.h; libcrypto counts. */
#include "base/sha256.h"

#include <openssl/evp.h>

#include <stdio.h>

void hw__sha256_begin(hw__sha256 *out) {
    out->ctx = EVP_MD_CTX_new();
    out->failed = !out->ctx || !EVP_DigestInit_ex(out->ctx, EVP_sha256(), NULL);
}

void hw__sha256_add(hw__sha256 *hash, const void *bytes, size_t n) {
    hash->failed = hash->failed || !EVP_DigestUpdate(hash->ctx, bytes, n);
}

bool hw__sha256_hex(const hw__sha256 *hash, char out[HW__SHA256_ROOM]) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    EVP_MD_CTX *copy = hash->failed ? NULL : EVP_MD_CTX_new();
    bool ok = copy && EVP_MD_CTX_copy_ex(copy, hash->ctx) && EVP_DigestFinal_ex(copy, digest, &n);
    EVP_MD_CTX_free(copy);
    for (unsigned i = 0; ok && i < n; i++) snprintf(out + 2 * (size_t)i, 3, "%02x", digest[i]);
    return ok;
}

void hw__sha256_end(hw__sha256 *hash) { EVP_MD_CTX_free(hash->ctx); }
