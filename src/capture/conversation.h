/*
 * conversation.h - a conversation written by its chat template, and which bytes of that text are which message's.
 *
 * A template may trim a message, put the system message into the user's, or drop what a model thought. Called by prompt.c.
 */
#ifndef HW_CAPTURE_CONVERSATION_H
#define HW_CAPTURE_CONVERSATION_H

#include "engine/engine.h"

/* A message's bytes in the written text. */
typedef struct hw__turn {
    size_t message;    /* index into the chat's */
    size_t begin, end; /* in the written text */
    size_t offset;     /* of these bytes in the message's content */
} hw__turn;

typedef struct hw__conversation {
    hw__written text;
    hw__turn *turns; /* [n_turns] rising; messages without content have none */
    size_t n_turns;
} hw__conversation;

/* Errors: UNSUPPORTED (the template does not render; it leaves out, repeats or rewrites a message; it makes no difference
 * between thinking on and off), MEMORY. Free with hw__conversation_clear(). */
hw_err hw__conversation_new(hw__conversation *out, hw__engine *engine, const hw__chat *chat, hw_error *err);
void hw__conversation_clear(hw__conversation *conversation);

#endif
