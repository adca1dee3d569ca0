/*
 * conversation.h - inputs of the chat template besides the prompt: --system, --messages, --chat-template and
 * --thinking.
 *
 * The folder headwater/job/: one explanation, from the options of a command to its files: model, prompt, segments,
 * memory limit, output.
 */
#ifndef HW_JOB_CONVERSATION_H
#define HW_JOB_CONVERSATION_H

#include "cli/options.h"
#include "job/messages.h"

/* Whether the options require a chat template. */
bool conversation_is_chat(const options *o);
/* STATUS_DONE, or the exit status for options that exclude each other. */
int conversation_check(const options *o, const char *command);
/* Reads what the options name; `prompt` is the user's message if a system message was given. STATUS_DONE or the exit
 * status. Free with conversation_free() in either case. */
int conversation_read(conversation *c, const options *o, const input *prompt);

/* Adds it to the params of a run whose prompt is set. */
void conversation_apply(hw_run_params *params, const conversation *c, const options *o);

#endif
