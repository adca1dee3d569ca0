/*
 * routes.h - the HTTP API: one table of routes. docs/reference/openapi.yaml says the same, and the tests hold them together.
 */
#ifndef HW_SERVE_ROUTES_H
#define HW_SERVE_ROUTES_H

#include "serve/answer.h"

typedef struct route {
    const char *method, *path; /* {id} stands for a number from 1 */
    answer (*handle)(call *c);
    bool takes_json; /* a body; false: an empty one or {} */
    const char *summary;
} route;

const route *routes_at(size_t i); /* up to NULL */
/* The route, and the number in its path. NULL: none; *allowed [room] then lists the methods that the path has, "" for
 * no such path. */
const route *routes_find(const char *method, const char *path, int64_t *id, char *allowed, size_t room);

#endif
