/* answer.c - see answer.h. */
#include "serve/answer.h"

#include <stdlib.h>
#include <string.h>

answer answer_bytes(unsigned status, void *bytes, size_t n, enum MHD_ResponseMemoryMode mode, const char *type) {
    answer a = {status, MHD_create_response_from_buffer(n, bytes, mode)};
    if (a.response) MHD_add_response_header(a.response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    return a;
}

answer answer_text(unsigned status, buffer *json) {
    static char failed[] = "{\"error\":{\"code\":\"out_of_memory\",\"message\":\"no memory for the answer\"}}";
    if (json->failed || !json->bytes) {
        buffer_free(json);
        return answer_bytes(503, failed, strlen(failed), MHD_RESPMEM_PERSISTENT, "application/json");
    }
    return answer_bytes(status, json->bytes, json->n, MHD_RESPMEM_MUST_FREE, "application/json");
}

answer answer_json(unsigned status, json_t *json) {
    buffer text = {.n = 0};
    buffer_json(&text, json);
    return answer_text(status, &text);
}

answer answer_error(const hw_error *err) {
    return answer_json(error_kind_of(err->code)->http, json_pack("{s:o}", "error", error_json(err)));
}

answer answer_error_in(const dialect *d, const hw_error *err) {
    return d ? answer_json(error_kind_of(err->code)->http, d->error(err)) : answer_error(err);
}

bool call_wants_events(const call *c) {
    const char *accept = MHD_lookup_connection_value(c->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT);
    return accept && strstr(accept, "text/event-stream");
}

bool read_id(const char **text, int64_t *id) {
    size_t n = strspn(*text, "0123456789");
    if (n < 1 || n > 18 || **text == '0') return false;
    *id = strtoll(*text, NULL, 10);
    *text += n;
    return true;
}
