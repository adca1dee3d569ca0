/* rewrite.h - what the model wrote again without the segments that a method puts first. */
#ifndef HW_EXPORT_REWRITE_H
#define HW_EXPORT_REWRITE_H

#include <stdbool.h>
#include <stddef.h>

typedef struct rewritten {
    const char *method; /* borrowed */
    size_t n_without;   /* that many segments were left out */
    bool stands;        /* the answer is in what was written */
    char *text;         /* [n_bytes] owned */
    size_t n_bytes;
} rewritten;

enum { MOST_REWRITTEN = 32 };
typedef struct rewritten_list {
    rewritten at[MOST_REWRITTEN]; /* [n] */
    size_t n;
} rewritten_list;

#endif
