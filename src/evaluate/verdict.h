/* verdict.h - one line in plain words on whether an explanation was right. A pure function. */
#ifndef HW_EVALUATE_VERDICT_H
#define HW_EVALUATE_VERDICT_H

#include <stddef.h>

/* What a check found about one method. Falls of log p(completion) in nats, rank agreements from -1 to 1 or NaN.
 *
 * An answer can go on from a last line that was begun for it ("Answer: The key is in the"). Leaving that out may cost
 * more than leaving out any evidence does, and it tells nothing about where the answer comes from. So where no segment
 * costs more than the prompt's last one, `drop`, `best` and `chance` are of the others. */
typedef struct hw__evidence {
    const char *method;
    double drop;       /* without the method's best segment */
    double best;       /* without the one whose absence costs most */
    double chance;     /* without a segment chosen at random: the mean over all */
    size_t segment;    /* the one that `best` is of */
    double ending;     /* without the prompt's last segment, where the three above are of the others; else NaN */
    double lds;        /* see hw_check_row */
    double lds_random; /* that of random scores: the mean over many draws */
} hw__evidence;

void hw__verdict(char *out, size_t room, const hw__evidence *e);

#endif
