/* token_text.h - the text of the first tokens of a run, joined because a character may be spread over several
 * tokens. */
#ifndef HW_PICTURE_TOKEN_TEXT_H
#define HW_PICTURE_TOKEN_TEXT_H

#include "headwater.h"

/* The tokens' bytes joined. Between two tokens there may be a separator, which belongs to neither. */
typedef struct token_text {
    char *bytes; /* [n] */
    size_t n, capacity;
    size_t *begin, *end; /* [n_tokens] */
    size_t n_tokens;
} token_text;

/* The first [n] tokens; tokens without text or id are named by their number. False when memory runs out. */
bool token_text_new(token_text *text, const hw_run *run, size_t n);
void token_text_free(token_text *text);

#endif
