/*
 * filter.h - which prompt tokens a view hides. A filter never changes a number: views report the mass they hide.
 *
 * One row of the table in filter.c is a name and a predicate on one token; a list hides what any of them names.
 */
#ifndef HW_FILTER_H
#define HW_FILTER_H

#include "error.h"

/* Sets hidden [n] for tokens 0..n-1 of `run` that a filter of the comma-separated `list` names. Error ARGUMENT lists
 * the filters there are. */
hw_err hw__filter_tokens(bool *hidden, size_t n, const hw_run *run, const char *list, hw_error *err);

#endif
