/*
 * answer_text.h - the text of an answer while it grows: how much of it can be sent.
 *
 * Held back are the bytes of an unfinished character, and text that may be the beginning of a stop text. A stop text
 * ends the answer before itself.
 *
 * The folder headwater/serve/engine/: the process that runs the model for the server, and its tasks.
 */
#ifndef HW_SERVE_ENGINE_ANSWER_TEXT_H
#define HW_SERVE_ENGINE_ANSWER_TEXT_H

#include "export/text_buffer.h"

typedef struct answer_text {
    const json_t *stop;  /* list of texts that end the answer; NULL: none */
    buffer bytes;        /* all tokens so far */
    size_t end;          /* bytes that belong to the answer; SIZE_MAX: no stop text was found yet */
    const char *stopped; /* the stop text that was found, borrowed from `stop`; NULL: none */
    size_t n_sent;       /* bytes that were sent */
} answer_text;

void answer_text_add(answer_text *t, const char *bytes, size_t n);
/* Bytes of the answer that can be sent: at least n_sent. `whole`: no token follows. */
size_t answer_text_ready(const answer_text *t, bool whole);
/* Bytes of the answer so far. */
size_t answer_text_end(const answer_text *t);
void answer_text_free(answer_text *t);

#endif
