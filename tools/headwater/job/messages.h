/* messages.h - a conversation for the chat template, and its list of messages as JSON: of --messages and of the server's requests. */
#ifndef HW_JOB_MESSAGES_H
#define HW_JOB_MESSAGES_H

#include "cli/input.h"

#include "headwater.h"

#include <jansson.h>

typedef struct conversation {
    hw_message *messages; /* [n_messages] malloc'd; what they point to is borrowed or in `json` */
    size_t n_messages;    /* 0: a prompt by itself */
    json_t *json;         /* owned, or NULL */
    input template_source; /* with a terminator behind; bytes NULL: the model's own */
} conversation;

/* Reads OpenAI's list of messages, [{"role": "user", "content": "..."}, ...]; they point into `list`, where one text takes the
 * place of a content that is a list of text parts. False: *err says which
 * message, and what is accepted. */
bool messages_from_json(conversation *c, const json_t *list, hw_error *err);

void conversation_free(conversation *c);

#endif
