/* conversation.c - see conversation.h. */
#include "job/conversation.h"

#include "base/json.h"
#include "cli/message.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool conversation_is_chat(const options *o) {
    return o->run.chat || o->system || o->messages || o->chat_template || o->run.thinking != HW_THINKING_DEFAULT;
}

int conversation_check(const options *o, const char *command) {
    if (o->system && o->messages)
        return misuse(command, "--system cannot be combined with --messages: the file has a system message of its own");
    return STATUS_DONE;
}

static int read_messages(conversation *c, const char *path) {
    input file;
    json_error_t why;
    hw_error err;
    if (!input_read(&file, "messages", path)) return STATUS_FAILED;
    bool no_memory;
    c->json = hw__json_read(file.bytes, file.n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &no_memory, &why);
    free(file.bytes);
    if (no_memory) return fail("messages %s: no memory for them", path);
    if (!c->json) return fail("messages %s: no valid JSON: line %d: %s", path, why.line, why.text);
    return messages_from_json(c, c->json, &err) ? STATUS_DONE : fail("%s: %s", path, err.msg);
}

static int add_system(conversation *c, const char *text, const input *prompt) {
    c->messages = calloc(2, sizeof *c->messages);
    if (!c->messages) return fail("no memory for the messages");
    c->messages[0] = (hw_message){.role = "system", .content = text, .content_bytes = strlen(text)};
    c->messages[1] = (hw_message){.role = "user", .content = prompt->bytes, .content_bytes = prompt->n};
    c->n_messages = 2;
    return STATUS_DONE;
}

static int read_template(input *out, const char *path) {
    if (!input_read(out, "chat template", path)) return STATUS_FAILED;
    if (out->n == 0 || memchr(out->bytes, 0, out->n))
        return fail("chat template %s: it must be text, and not empty", path);
    char *resized = realloc(out->bytes, out->n + 1);
    if (!resized) return fail("no memory for the chat template");
    resized[out->n] = 0;
    out->bytes = resized;
    return STATUS_DONE;
}

int conversation_read(conversation *c, const options *o, const input *prompt) {
    *c = (conversation){.n_messages = 0};
    int status = o->messages ? read_messages(c, o->messages)
                 : o->system ? add_system(c, o->system, prompt)
                             : STATUS_DONE;
    return status == STATUS_DONE && o->chat_template ? read_template(&c->template_source, o->chat_template) : status;
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
