/* cite.h - an answer with its citations: printed by citations_view.c, as JSON by cite_json.c. */
#ifndef HW_EXPORT_CITE_H
#define HW_EXPORT_CITE_H

#include "cli/terminal.h"

#include "headwater.h"

#include <jansson.h>

/* Input and result of a citation. */
typedef struct cite_facts {
    const hw_run *run;
    const hw_attribution *a;
    const hw_segments *passages, *answer;
    const hw_citation *citation;
    const hw_confirmation *confirmation; /* NULL: not requested */
    const char *by;                      /* how the prompt was split; NULL: passages or spans were given */
    const char *answer_by;               /* how the answer was split */
} cite_facts;

/* Prints the answer with marks, the shares of its sources, and the marked passages, strongest first. */
void cite_print(const terminal *t, const cite_facts *facts);

/* A new tree, NULL when memory runs out; release with json_decref(). */
json_t *cite_document(const cite_facts *facts);
/* Method, rule, passages, parts of the answer and matrices, without the run; NULL when memory runs out. */
json_t *cite_json(const cite_facts *facts);

/* Saves it to `path` atomically. Errors: IO, MEMORY. */
hw_err cite_save(const cite_facts *facts, const char *path, hw_error *err);

#endif
