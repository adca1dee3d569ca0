/* cite.h - an answer with its citations: printed (citations_view.c) and as JSON (cite_json.c). */
#ifndef HW_EXPORT_CITE_H
#define HW_EXPORT_CITE_H

#include "cli/terminal.h"

#include "headwater.h"

/* What was cited, by what. */
typedef struct cite_facts {
    const hw_run *run;
    const hw_attribution *a;
    const hw_segments *passages, *answer;
    const hw_citation *citation;
    const hw_confirmation *confirmation; /* NULL: not asked for */
    const char *by;        /* how the prompt was cut; NULL: given passages or spans */
    const char *answer_by; /* how the answer was cut */
} cite_facts;

/* The answer with marks, how much of it came from where, and the passages with a mark, strongest first. */
void cite_print(const terminal *t, const cite_facts *facts);

/* False, with the reason printed, when it could not be saved. */
bool cite_save(const cite_facts *facts, const char *path);

#endif
