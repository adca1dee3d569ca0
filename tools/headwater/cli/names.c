/* names.c - see names.h. */
#include "cli/names.h"

#include "headwater.h"

static const char *method_at(size_t i, const void *ctx) {
    (void)ctx;
    return hw_method_at(i)->name;
}

static const char *segmenter_at(size_t i, const void *ctx) {
    (void)ctx;
    return hw_segmenter_at(i)->name;
}

hw__names method_names(void) { return (hw__names){method_at, NULL, hw_method_count()}; }
hw__names segmenter_names(void) { return (hw__names){segmenter_at, NULL, hw_segmenter_count()}; }
