/* messages.h - a conversation for the chat template, and its messages as JSON: from --messages and from the server's
 * requests. */
#ifndef HW_JOB_MESSAGES_H
#define HW_JOB_MESSAGES_H

#include "cli/input.h"

#include "headwater.h"

#include <jansson.h>

typedef struct conversation {
    hw_message *messages;  /* [n_messages] malloc'd; the strings are borrowed or in `json` */
    size_t n_messages;     /* 0: only a prompt */
    json_t *json;          /* owned, or NULL */
    input template_source; /* terminated; bytes NULL: the model's own template */
} conversation;

/* Reads OpenAI's list of messages, [{"role": "user", "content": "..."}, ...]. The result points into `list`, where a
 * content that is a list of text parts is replaced by one text. False: *err says which message, and what is
 * accepted. */
bool messages_from_json(conversation *c, const json_t *list, hw_error *err);

void conversation_free(conversation *c);

#endif
