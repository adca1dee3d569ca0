/*
 * figure_module.h - opens the module that draws figures: its libraries (Cairo, Pango and theirs) would be a third of
 * what every start of the program takes.
 */
#ifndef HW_JOB_FIGURE_MODULE_H
#define HW_JOB_FIGURE_MODULE_H

#include "figure/figure.h"

/* The module's functions, or NULL with the reason in *err. */
const figure_functions *figure_module(hw_error *err);

#endif
