/* version.c - the library's version, the names of its error codes, and its own stop function. */
#include "headwater.h"

#include <stdlib.h>

const char *hw_version(void) { return HW_VERSION; }
uint32_t hw_version_number(void) { return HW_VERSION_NUMBER; }

void hw_free(void *text) { free(text); }

const char *hw_err_name(hw_err code) {
    switch (code) {
    case HW_OK: return "HW_OK";
    case HW_ERR_ARGUMENT: return "HW_ERR_ARGUMENT";
    case HW_ERR_IO: return "HW_ERR_IO";
    case HW_ERR_FORMAT: return "HW_ERR_FORMAT";
    case HW_ERR_MEMORY: return "HW_ERR_MEMORY";
    case HW_ERR_UNSUPPORTED: return "HW_ERR_UNSUPPORTED";
    case HW_ERR_ENGINE: return "HW_ERR_ENGINE";
    case HW_ERR_CANCELLED: return "HW_ERR_CANCELLED";
    }
    return "HW_ERR_UNKNOWN";
}

bool hw_stop_by_flag(void *ctx) { return __atomic_load_n((const unsigned char *)ctx, __ATOMIC_RELAXED) != 0; }
