/* openai.h - what both of OpenAI's routes share; their rows are in openai_chat.c and openai_text.c. */
#ifndef HW_SERVE_DIALECTS_OPENAI_H
#define HW_SERVE_DIALECTS_OPENAI_H

#include "serve/dialects/draft.h"
#include "serve/dialects/events.h"

/* Fields that both routes have, for a table of rows. */
#define OPENAI_FIELDS                                                                                                  \
    {.key = "model", .kind = DRAFT_IGNORED}, /* checked before */                                                      \
        {.key = "documents", .kind = DRAFT_JSON, .offset = DRAFT_AT(documents)},                                       \
        {.key = "citations", .kind = DRAFT_FLAG, .offset = DRAFT_AT(citations)},                                       \
        {.key = "attribution", .kind = DRAFT_FLAG, .offset = DRAFT_AT(numbers)},                                       \
        {.key = "stream", .kind = DRAFT_FLAG, .offset = DRAFT_AT(stream)},                                             \
        {.key = "stream_options", .kind = DRAFT_JSON, .offset = DRAFT_AT(extra)},                                      \
        {.key = "stop", .kind = DRAFT_JSON, .offset = DRAFT_AT(stop)},                                                 \
        {.key = "seed", .kind = DRAFT_NUMBER, .offset = DRAFT_AT(seed)},                                               \
        {.key = "temperature", .kind = DRAFT_NUMBER, .offset = DRAFT_AT(temperature)},                                 \
        {.key = "top_p", .kind = DRAFT_NUMBER, .offset = DRAFT_AT(top_p)},                                             \
        {.key = "top_k", .kind = DRAFT_NUMBER, .offset = DRAFT_AT(top_k)},                                             \
        {.key = "max_tokens", .kind = DRAFT_WHOLE, .offset = DRAFT_AT(max_tokens), .min = 1, .max = 1000000},          \
        {.key = "n", .kind = DRAFT_REFUSED, .min = 1, .text = "one model gives one answer at a time: must be 1"},      \
        {.key = "logit_bias", .kind = DRAFT_REFUSED, .text = "logits are not changed here"},                           \
        {.key = "presence_penalty", .kind = DRAFT_REFUSED, .text = "there are no penalties here: must be 0"},          \
        {.key = "frequency_penalty", .kind = DRAFT_REFUSED, .text = "there are no penalties here: must be 0"},         \
        {.key = "user", .kind = DRAFT_IGNORED}, {.key = "metadata", .kind = DRAFT_IGNORED},                            \
        {.key = "store", .kind = DRAFT_REFUSED, .text = "answers are not stored"}, {                                   \
        .key = "service_tier", .kind = DRAFT_IGNORED                                                                   \
    }

/* Reads stream_options from draft.extra. */
bool openai_stream_options(draft *d, hw_error *err);

json_t *openai_usage(const json_t *usage);
/* "annotations" of sentences, one for each source. */
json_t *openai_annotations(const chat_call *call, const json_t *sentences);
/* {"id", "object", "created", "model", "choices": [made]} */
json_t *openai_envelope(const chat_call *call, const char *object, json_t *made);
const char *openai_finish(const json_t *answer);
json_t *openai_error(const hw_error *err);
/* Ends a stream: the last chunk with its numbers, and [DONE]. `chunk`: taken over. */
void openai_end(const chat_call *call, buffer *out, json_t *chunk, const char *object, const json_t *answer);

#endif
