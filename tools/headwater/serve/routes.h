/*
 * routes.h - the HTTP API: one table of routes. docs/reference/openapi.yaml describes the same routes, which the tests
 * verify.
 */
#ifndef HW_SERVE_ROUTES_H
#define HW_SERVE_ROUTES_H

#include "serve/answer.h"

typedef struct route {
    const char *method, *path; /* {id} is a number from 1, {model} at the end any text */
    answer (*handle)(call *c);
    bool takes_json; /* requires a body; false: the body must be empty or {} */
    const char *summary;
} route;

const route *routes_at(size_t i); /* NULL past the end */
/* Finds the route, and the number in its path. NULL: none; *allowed [capacity] then lists the methods of the path, ""
 * if the path is unknown. */
const route *routes_find(const char *method, const char *path, int64_t *id, char *allowed, size_t capacity);

#endif
