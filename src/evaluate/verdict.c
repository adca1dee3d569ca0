/*
 * verdict.c - grades a method by where its best segment lies between a random choice and the best possible one.
 *
 *     reached = (drop - chance) / (best - chance)     0: as good as a random choice, 1: none is better
 *
 * If the best segment is the text that the answer continues, all three refer to the other segments.
 */
#include "evaluate/verdict.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Bounds between grades. */
static const struct thresholds {
    /* Minimum of best, and of best - chance. Below log 2 no segment changes the answer's probability by a factor of
     * two, or none by that much more than the others, so right and wrong cannot be determined apart. */
    double matters;
    /* Minimum of reached for a right choice: the difference to the best drop is smaller than between nearly tied
     * segments. */
    double right;
    double chance; /* maximum of reached that still counts as chance: random choices vary around 0 by more than this */
} thresholds = {.matters = 0.69, .right = 0.8, .chance = 0.2};

typedef struct phrase {
    char text[128];
} phrase;

/* "164 times less likely" */
static phrase likelihood(double nats) {
    phrase p;
    double factor = exp(fabs(nats));
    const char *way = nats > 0 ? "less" : "more";
    if (factor < 1.05) {
        snprintf(p.text, sizeof p.text, "as likely as before");
    } else if (factor >= 1e6) {
        snprintf(p.text, sizeof p.text, "over a million times %s likely", way);
    } else {
        snprintf(p.text, sizeof p.text, "%.*f times %s likely", factor < 9.95 ? 1 : 0, factor, way);
    }
    return p;
}

static const char *agreement(char *out, size_t capacity, const hw__evidence *e, double reached) {
    out[0] = 0;
    if (isnan(e->lds)) return out;
    if (e->lds <= e->lds_random && reached >= thresholds.right) {
        snprintf(out, capacity,
                 ", but its scores rank the rest no better than random ones (rank agreement %.2f, random %.2f on "
                 "average)",
                 e->lds, e->lds_random);
    } else {
        snprintf(out, capacity, "; rank agreement over random cuts %.2f, random %.2f on average", e->lds,
                 e->lds_random);
    }
    return out;
}

/* Introduces statements about the other segments. */
static phrase others_of(const hw__evidence *e, bool others) {
    phrase p = {""};
    if (others)
        snprintf(p.text, sizeof p.text,
                 "the best choice is the text that the answer goes on from (%.1f nats); among the others: ", e->ending);
    return p;
}

static void write_unjudged(char *out, size_t capacity, const hw__evidence *e, const char *others, double best) {
    if (best < thresholds.matters) {
        snprintf(out, capacity,
                 "%s: cannot be judged here: %sno single segment's absence makes the answer much less likely (without "
                 "the most important one it is %s, %.1f nats): it may rest on several segments, or on none",
                 e->method, others, likelihood(best).text, best);
    } else {
        snprintf(out, capacity,
                 "%s: cannot be judged here: %sno single segment stands out (without the most important one the answer "
                 "is %s, %.1f nats; without a random one %.1f on average)",
                 e->method, others, likelihood(best).text, best, e->chance);
    }
}

void hw__verdict(char *out, size_t capacity, const hw__evidence *e) {
    char rest[160], segment[32] = "";
    double gap = e->best - e->chance, reached = gap > 0 ? (e->drop - e->chance) / gap : 0;
    bool others = e->ending >= thresholds.matters; /* a smaller drop does not hide the others, and is itself the
                                                      largest */
    phrase of = others_of(e, others), without = likelihood(e->drop);
    if (!(e->best >= thresholds.matters && gap >= thresholds.matters)) {
        write_unjudged(out, capacity, e, of.text, others ? e->best : fmax(e->best, e->ending));
        return;
    }
    const char *grade = strcmp(e->method, "leave-one-out") == 0 ? "right by construction"
                        : reached >= thresholds.right           ? "right where it can be checked"
                        : reached > thresholds.chance           ? "partly right"
                                                                : "do not trust it here";
    const char *than = reached <= thresholds.chance ? ", no better than a random choice" : "";
    if (others) snprintf(segment, sizeof segment, ", segment %zu,", e->segment);
    snprintf(out, capacity,
             "%s: %s%s: %swithout its top segment the answer is %s (%.1f nats; the best choice%s %.1f, a random one "
             "%.1f on average)%s",
             e->method, grade, than, of.text, without.text, e->drop, segment, e->best, e->chance,
             agreement(rest, sizeof rest, e, reached));
}
