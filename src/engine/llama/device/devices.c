/* devices.c - lists devices, chooses those of a model, and names them. */
#include "engine/llama/device/devices.h"

#include "base/strlist.h"

#include "engine/llama/device/backend.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------ every device */

enum { MAX_LISTED = 64 };

/* All devices: those of the servers in their order, then this machine's in ggml's order. */
static size_t list_all(ggml_backend_dev_t *out /* [MAX_LISTED] */, const hw__rpc *rpc) {
    size_t n = 0;
    for (size_t s = 0; s < rpc->n; s++)
        for (size_t i = 0; i < ggml_backend_reg_dev_count(rpc->at[s].reg) && n < MAX_LISTED; i++)
            out[n++] = ggml_backend_reg_dev_get(rpc->at[s].reg, i);
    for (size_t i = 0; i < ggml_backend_dev_count() && n < MAX_LISTED; i++) out[n++] = ggml_backend_dev_get(i);
    return n;
}

/* libllama runs everything that is not on such a device on the CPU. */
static bool takes_blocks(ggml_backend_dev_t device) {
    enum ggml_backend_dev_type type = ggml_backend_dev_type(device);
    return type == GGML_BACKEND_DEVICE_TYPE_GPU || type == GGML_BACKEND_DEVICE_TYPE_IGPU;
}

/* ------------------------------------------------------------------ those of a model */

/* The devices that a name can select. */
typedef struct choice {
    ggml_backend_dev_t at[MAX_LISTED];
    size_t n;
} choice;

static choice choices(const hw__rpc *rpc, bool (*accepts)(ggml_backend_dev_t device)) {
    choice c = {.n = 0};
    ggml_backend_dev_t all[MAX_LISTED];
    size_t n = list_all(all, rpc);
    for (size_t i = 0; i < n; i++)
        if (accepts(all[i])) c.at[c.n++] = all[i];
    return c;
}

static ggml_backend_dev_t find(const choice *c, const char *name, size_t length) {
    for (size_t i = 0; i < c->n; i++) {
        const char *its = ggml_backend_dev_name(c->at[i]);
        if (strlen(its) == length && strncmp(its, name, length) == 0) return c->at[i];
    }
    return NULL;
}

static const char *device_name(size_t i, const void *ctx) {
    return ggml_backend_dev_name(((const choice *)ctx)->at[i]);
}

static hw_err no_device(const choice *c, const char *name, size_t length, hw_error *err) {
    char there[256];
    hw__join_names(there, sizeof there, (hw__names){device_name, c, c->n});
    return hw__fail(err, HW_ERR_ARGUMENT, "no device \"%.*s\": %s%s", (int)length, name,
                    *there ? "accepted are " : "there is none to choose", there);
}

/* The devices selected by `names`, in its order. */
static hw_err pick(ggml_backend_dev_t *out, const choice *c, const char *names, hw_error *err) {
    size_t n = 0;
    for (const char *at = names; at;) {
        size_t length = strcspn(at, ",");
        ggml_backend_dev_t device = find(c, at, length);
        if (!device) return no_device(c, at, length, err);
        for (size_t i = 0; i < n; i++)
            if (out[i] == device) return hw__fail(err, HW_ERR_ARGUMENT, "device %.*s is named twice", (int)length, at);
        if (n == HW__MAX_DEVICES)
            return hw__fail(err, HW_ERR_ARGUMENT, "device %.*s is one too many: at most %d", (int)length, at,
                            HW__MAX_DEVICES);
        out[n++] = device;
        at = at[length] ? at + length + 1 : NULL;
    }
    return HW_OK;
}

hw_err hw__devices_choose(ggml_backend_dev_t *out, const hw__rpc *rpc, const char *names, hw_error *err) {
    choice c = choices(rpc, takes_blocks);
    memset(out, 0, (HW__MAX_DEVICES + 1) * sizeof *out);
    if (names && *names) return pick(out, &c, names, err);
    memcpy(out, c.at, (c.n < HW__MAX_DEVICES ? c.n : HW__MAX_DEVICES) * sizeof *out);
    return HW_OK;
}

static bool any(ggml_backend_dev_t device) { return device != NULL; }

hw_err hw__devices_served(ggml_backend_dev_t *out, const char *names, hw_error *err) {
    const hw__rpc none = {.n = 0};
    choice c = choices(&none, any);
    hw_err rc = hw__devices_choose(out, &none, NULL, err);
    if (names && *names) return pick(memset(out, 0, (HW__MAX_DEVICES + 1) * sizeof *out), &c, names, err);
    if (rc == HW_OK && !out[0]) out[0] = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
    return out[0] ? rc : hw__fail(err, HW_ERR_ENGINE, "libllama has no device on this machine, not even the CPU");
}

/* ------------------------------------------------------------------ where rows live */

void hw__placement_note(hw__placement *p, ggml_backend_buffer_t buffer) {
    ggml_backend_buffer_type_t type = ggml_backend_buffer_get_type(buffer);
    ggml_backend_dev_t device = ggml_backend_buft_get_device(type);
    const char *name =
        device && !ggml_backend_buffer_is_host(buffer) ? ggml_backend_dev_name(device) : ggml_backend_buft_name(type);
    p->remote = p->remote || !ggml_backend_buffer_is_host(buffer);
    size_t i = 0;
    while (i < p->n && strcmp(p->at[i].name, name) != 0) i++;
    if (i == sizeof p->at / sizeof *p->at) return;
    if (i == p->n) snprintf(p->at[p->n++].name, sizeof p->at[i].name, "%s", name);
    p->at[i].n++;
}

static bool is_repacked(ggml_backend_buffer_t buffer) {
    ggml_backend_dev_t device = ggml_backend_buft_get_device(ggml_backend_buffer_get_type(buffer));
    return ggml_backend_buffer_get_usage(buffer) == GGML_BACKEND_BUFFER_USAGE_WEIGHTS &&
           !ggml_backend_buffer_is_host(buffer) && device &&
           ggml_backend_dev_type(device) == GGML_BACKEND_DEVICE_TYPE_CPU;
}

void hw__repacked_note(hw__repacked *r, const struct ggml_tensor *node) {
    for (size_t s = 0; s < GGML_MAX_SRC; s++) {
        ggml_backend_buffer_t buffer = node->src[s] ? node->src[s]->buffer : NULL;
        if (!buffer || !is_repacked(buffer)) continue;
        size_t i = 0;
        while (i < r->n && r->buffers[i] != buffer) i++;
        if (i < r->n || i == sizeof r->buffers / sizeof *r->buffers) continue;
        r->buffers[r->n++] = buffer;
        r->bytes += ggml_backend_buffer_get_size(buffer);
    }
}

void hw__placement_text(char *out, size_t capacity, const hw__placement *p) {
    out[0] = 0;
    if (p->n == 1) snprintf(out, capacity, "%s", p->at[0].name);
    for (size_t i = 0, at = 0; p->n > 1 && i < p->n && at < capacity; i++)
        at += (size_t)snprintf(out + at, capacity - at, "%s%s %zu", at ? ", " : "", p->at[i].name, p->at[i].n);
}

/* ------------------------------------------------------------------ the public list */

struct hw_device_list {
    hw__rpc rpc;
    hw_device at[MAX_LISTED];
    size_t n;
};

hw_err hw_device_list_new(hw_device_list **out, const char *rpc_servers, hw_error *err) {
    hw__llama_start();
    hw_device_list *list = hw__alloc(1, sizeof *list);
    if (!list) return hw__fail_memory(err, "the list of devices", 1, sizeof *list);
    hw_err rc = hw__rpc_open(&list->rpc, rpc_servers, err);
    if (rc != HW_OK) {
        hw_device_list_free(list);
        return rc;
    }
    ggml_backend_dev_t all[MAX_LISTED];
    list->n = list_all(all, &list->rpc);
    for (size_t i = 0; i < list->n; i++) {
        struct ggml_backend_dev_props props;
        ggml_backend_dev_get_props(all[i], &props);
        list->at[i] = (hw_device){.name = props.name,
                                  .description = props.description,
                                  .n_bytes = props.memory_total,
                                  .n_bytes_free = props.memory_free,
                                  .takes_blocks = takes_blocks(all[i]),
                                  .host = ggml_backend_buft_is_host(ggml_backend_dev_buffer_type(all[i]))};
    }
    *out = list;
    return HW_OK;
}

void hw_device_list_free(hw_device_list *list) {
    if (!list) return;
    hw__rpc_close(&list->rpc);
    free(list);
}

size_t hw_device_list_count(const hw_device_list *list) { return list->n; }
const hw_device *hw_device_list_at(const hw_device_list *list, size_t i) { return &list->at[i]; }
