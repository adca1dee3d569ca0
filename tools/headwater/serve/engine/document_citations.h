/*
 * document_citations.h - which documents of a request each sentence of the answer came from.
 *
 * A document is a range of the prompt; its sentences are the passages that are cited. Positions in the results are
 * characters (code points): of the answer as it is sent, and of the document's own text.
 */
#ifndef HW_SERVE_ENGINE_DOCUMENT_CITATIONS_H
#define HW_SERVE_ENGINE_DOCUMENT_CITATIONS_H

#include "serve/protocol/answer_request.h"

typedef struct cited_documents {
    hw_span *ranges; /* [n] bytes of the run's prompt */
    size_t n;
    hw_span *passages; /* [n_passages] bytes of the run's prompt: their sentences, trimmed */
    size_t *document;  /* [n_passages] */
    size_t n_passages;
    hw_segments *segments; /* the passages as segments of the prompt */
} cited_documents;

/* Finds the request's documents in the prompt of a tokenized run, and splits them. Fails if the chat template changed a
 * message that holds a document. Free with documents_free() in either case. */
bool documents_find(cited_documents *out, const answer_request *r, const hw_run *run, hw_error *err);
void documents_free(cited_documents *d);

/* Returns false with *err set: prompt and answer (n_answer tokens; 0: any number) are more than the context. Says which
 * documents would fit, taken in their order. */
bool documents_refuse(const cited_documents *d, const hw_run *run, size_t n_ctx, size_t n_answer, hw_error *err);

/* The answer so far, as the client sees it. */
typedef struct cited_answer {
    const hw_attribution *rows;   /* of the method that citations are made by, from the first token on */
    const hw_segments *sentences; /* of the run's completion */
    size_t end;                   /* bytes of the completion that belong to the answer */
} cited_answer;

/* *out <- sentences [first, end) with their sources, strongest first, if any: [{"start", "end", "text", "sources":
 * [{"document", "start", "end", "text", "share", "peak"}]}]. Sentences behind the end of the answer are left out. */
bool documents_cite(json_t **out, const cited_documents *d, const cited_answer *answer, size_t first, size_t end,
                    hw_error *err);
/* *out <- all shares, as `headwater cite --json` writes them, each passage with the index of its document. */
bool documents_numbers(json_t **out, const cited_documents *d, const cited_answer *answer, hw_error *err);

#endif
