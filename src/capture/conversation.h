/*
 * conversation.h - renders a conversation with its chat template, and finds which bytes of the text belong to which
 * message.
 *
 * A template may trim a message, put the system message into the user's, or drop what a model thought. Called by
 * prompt.c.
 */
#ifndef HW_CAPTURE_CONVERSATION_H
#define HW_CAPTURE_CONVERSATION_H

#include "engine/engine.h"

/* A message's bytes in the rendered text. */
typedef struct hw__turn {
    size_t message;    /* index into the messages of the chat */
    size_t begin, end; /* in the rendered text */
    size_t offset;     /* position of these bytes in the message's content */
} hw__turn;

typedef struct hw__conversation {
    hw__written text;
    hw__turn *turns; /* [n_turns] ascending; messages without content have none */
    size_t n_turns;
} hw__conversation;

/* Errors: UNSUPPORTED (the template cannot be rendered; it leaves out, repeats or rewrites a message; its text is the
 * same with thinking on and off), MEMORY. Free with hw__conversation_clear(). */
hw_err hw__conversation_new(hw__conversation *out, hw__engine *engine, const hw__chat *chat, hw_error *err);
void hw__conversation_clear(hw__conversation *conversation);

#endif
