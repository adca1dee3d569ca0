/*
 * conversation.h - what goes to the chat template beside the prompt: --system, --messages, --chat-template and --thinking.
 */
#ifndef HW_JOB_CONVERSATION_H
#define HW_JOB_CONVERSATION_H

#include "cli/options.h"
#include "job/messages.h"

/* Whether the options ask for a chat template at all. */
bool conversation_is_chat(const options *o);
/* STATUS_DONE, or the status to exit with for options that do not go together. */
int conversation_check(const options *o, const char *command);
/* What the options name; `prompt` is the user's message where they give a system message. STATUS_DONE or the status to exit with.
 * Free with conversation_free() either way. */
int conversation_read(conversation *c, const options *o, const input *prompt);

/* Puts it into the params of a run whose prompt is set. */
void conversation_apply(hw_run_params *params, const conversation *c, const options *o);

#endif
