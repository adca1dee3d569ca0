/*
 * verdict.h - one line in plain words on whether an explanation was right. A pure function.
 */
#ifndef HW_EVALUATE_VERDICT_H
#define HW_EVALUATE_VERDICT_H

#include <stddef.h>

/* Findings of a check about one method. Drops of log p(completion) in nats, rank agreements from -1 to 1 or NaN.
 *
 * An answer may continue the last line of the prompt ("Answer: The key is in the"). Leaving that line out may cost more
 * than leaving out any evidence, but says nothing about the source of the answer. So if no segment costs more than the
 * prompt's last one, `drop`, `best` and `chance` refer to the other segments. */
typedef struct hw__evidence {
    const char *method;
    double drop;       /* without the method's best segment */
    double best;       /* without the segment whose absence costs most */
    double chance;     /* without a random segment: the mean over all */
    size_t segment;    /* index of the segment of `best` */
    double ending;     /* without the prompt's last segment, if the three above refer to the others; else NaN */
    double lds;        /* see hw_check_row */
    double lds_random; /* LDS of random scores: mean over many draws */
} hw__evidence;

void hw__verdict(char *out, size_t capacity, const hw__evidence *e);

#endif
