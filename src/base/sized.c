/* sized.c - copies structs between versions of the public header. */
#include "base/sized.h"

#include "base/error.h"

#include <string.h>

/* A size beyond this is uninitialised memory: no params struct will grow to it. */
static const size_t MAX_SIZE = 4096;

static size_t size_of(const void *params) {
    size_t size;
    memcpy(&size, params, sizeof size);
    return size;
}

static bool is_zero(const unsigned char *bytes, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (bytes[i]) return false;
    return true;
}

hw_err hw__params_read(void *own, size_t own_size, const void *params, const char *type, hw_error *err) {
    if (!params) return HW_OK;
    size_t size = size_of(params), n = size < own_size ? size : own_size;
    if (size <= sizeof size || size > MAX_SIZE)
        return hw__fail(err, HW_ERR_ARGUMENT, "%s.size is %zu: initialise the struct with %s_init()", type, size, type);
    if (!is_zero((const unsigned char *)params + n, size - n))
        return hw__fail(err, HW_ERR_ARGUMENT,
                        "%s: a field that this version of the library (%s) does not have is set: only its first %zu "
                        "bytes are accepted",
                        type, HW_VERSION, own_size);
    memcpy(own, params, n);
    memcpy(own, &own_size, sizeof own_size);
    return HW_OK;
}

void hw__params_fill(void *params, size_t size, const void *own, size_t own_size) {
    hw__sized_copy(params, size, own, own_size);
    if (size >= sizeof size) memcpy(params, &size, sizeof size);
}

bool hw__params_have(const void *params, size_t offset, size_t n) { return offset + n <= size_of(params); }

void hw__sized_copy(void *out, size_t size, const void *own, size_t own_size) {
    size_t n = size < own_size ? size : own_size;
    memcpy(out, own, n);
    memset((char *)out + n, 0, size - n);
}
