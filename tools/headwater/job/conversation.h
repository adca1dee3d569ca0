/*
 * conversation.h - what goes to the chat template beside the prompt: --system, --messages, --chat-template and --thinking; the list
 * of messages in the server's requests too.
 */
#ifndef HW_JOB_CONVERSATION_H
#define HW_JOB_CONVERSATION_H

#include "cli/input.h"
#include "cli/options.h"

#include <jansson.h>

typedef struct conversation {
    hw_message *messages; /* [n_messages] malloc'd; what they point to is borrowed or in `json` */
    size_t n_messages;    /* 0: a prompt by itself */
    json_t *json;         /* owned, or NULL */
    input template_source; /* with a terminator behind; bytes NULL: the model's own */
} conversation;

/* Reads OpenAI's list of messages, [{"role": "user", "content": "..."}, ...]; they point into `list`. False: *err says which
 * message, and what is accepted. */
bool messages_from_json(conversation *c, const json_t *list, hw_error *err);

/* Whether the options ask for a chat template at all. */
bool conversation_is_chat(const options *o);
/* STATUS_DONE, or the status to exit with for options that do not go together. */
int conversation_check(const options *o, const char *command);
/* What the options name; `prompt` is the user's message where they give a system message. STATUS_DONE or the status to exit with.
 * Free with conversation_free() either way. */
int conversation_read(conversation *c, const options *o, const input *prompt);
void conversation_free(conversation *c);

/* Puts it into the params of a run whose prompt is set. */
void conversation_apply(hw_run_params *params, const conversation *c, const options *o);

#endif
