/* rewrite.h - completions generated again without the segments that a method ranks first. */
#ifndef HW_EXPORT_REWRITE_H
#define HW_EXPORT_REWRITE_H

#include <stdbool.h>
#include <stddef.h>

typedef struct rewritten {
    const char *method; /* borrowed */
    size_t n_without;   /* number of segments that were left out */
    bool stands;        /* the new text contains the answer */
    char *text;         /* [n_bytes] owned */
    size_t n_bytes;
} rewritten;

enum { MAX_REWRITTEN = 32 };
typedef struct rewritten_list {
    rewritten at[MAX_REWRITTEN]; /* [n] */
    size_t n;
} rewritten_list;

#endif
