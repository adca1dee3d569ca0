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
/* Error ERR_USAGE: options that exclude each other. */
hw_err conversation_check(const options *o, hw_error *err);
/* Reads what the options name; `prompt` is the user's message if a system message was given. Errors: IO, FORMAT,
 * MEMORY. Free with conversation_free() in either case. */
hw_err conversation_read(conversation *c, const options *o, const input *prompt, hw_error *err);

/* Adds it to the params of a run whose prompt is set. */
void conversation_apply(hw_run_params *params, const conversation *c, const options *o);

#endif
