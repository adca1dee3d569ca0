/* conversation.c - see conversation.h. */
#include "job/conversation.h"

#include "base/error.h"
#include "base/json.h"
#include "cli/error_kinds.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool conversation_is_chat(const options *o) {
    return o->run.chat || o->system || o->messages || o->chat_template || o->run.thinking != HW_THINKING_DEFAULT;
}

hw_err conversation_check(const options *o, hw_error *err) {
    if (o->system && o->messages)
        return usage_error(err,
                           "--system cannot be combined with --messages: the file has a system message of its own");
    return HW_OK;
}

static hw_err read_messages(conversation *c, const char *path, hw_error *err) {
    input file;
    json_error_t why;
    hw_err rc = input_read(&file, "messages", path, err);
    if (rc != HW_OK) return rc;
    bool no_memory;
    c->json = hw__json_read(file.bytes, file.n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &no_memory, &why);
    free(file.bytes);
    if (no_memory) return hw__fail(err, HW_ERR_MEMORY, "messages %s: no memory for them", path);
    if (!c->json)
        return hw__fail(err, HW_ERR_FORMAT, "messages %s: no valid JSON: line %d: %s", path, why.line, why.text);
    return messages_from_json(c, c->json, err) ? HW_OK : hw__fail_in(err, err->code, "%s", path);
}

static hw_err add_system(conversation *c, const char *text, const input *prompt, hw_error *err) {
    c->messages = calloc(2, sizeof *c->messages);
    if (!c->messages) return hw__fail(err, HW_ERR_MEMORY, "no memory for the messages");
    c->messages[0] = (hw_message){.role = "system", .content = text, .content_bytes = strlen(text)};
    c->messages[1] = (hw_message){.role = "user", .content = prompt->bytes, .content_bytes = prompt->n};
    c->n_messages = 2;
    return HW_OK;
}

static hw_err read_template(input *out, const char *path, hw_error *err) {
    hw_err rc = input_read(out, "chat template", path, err);
    if (rc != HW_OK) return rc;
    if (out->n == 0 || memchr(out->bytes, 0, out->n))
        return hw__fail(err, HW_ERR_FORMAT, "chat template %s: it must be text, and not empty", path);
    char *resized = realloc(out->bytes, out->n + 1);
    if (!resized) return hw__fail(err, HW_ERR_MEMORY, "no memory for the chat template");
    resized[out->n] = 0;
    out->bytes = resized;
    return HW_OK;
}

hw_err conversation_read(conversation *c, const options *o, const input *prompt, hw_error *err) {
    *c = (conversation){.n_messages = 0};
    hw_err rc = o->messages ? read_messages(c, o->messages, err)
                : o->system ? add_system(c, o->system, prompt, err)
                            : HW_OK;
    return rc == HW_OK && o->chat_template ? read_template(&c->template_source, o->chat_template, err) : rc;
}

void conversation_apply(hw_run_params *params, const conversation *c, const options *o) {
    params->chat = conversation_is_chat(o);
    params->chat_template = c->template_source.bytes;
    if (c->n_messages == 0) return;
    params->prompt = NULL;
    params->prompt_bytes = 0;
    params->messages = c->messages;
    params->n_messages = c->n_messages;
}
