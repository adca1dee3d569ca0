/* figure_module.c - libheadwater-figure.so, which lies beside libheadwater.so. */
#include "job/figure_module.h"

#include "base/module.h"

const figure_functions *figure_module(hw_error *err) {
    static const hw__module module = {FIGURE_MODULE, FIGURE_FUNCTIONS, "figures cannot be drawn"};
    static void *functions;
    if (!functions && hw__module_open(&functions, &module, (void *)hw_version, err) != HW_OK) return NULL;
    return functions;
}
