/*
 * serve.c - `headwater serve`: the page and the HTTP API on this machine, with one model.
 *
 *     store -> engine process -> dispatcher -> listen -> until Ctrl-C -> close the queue -> join the dispatcher
 *           -> stop listening
 */
#include "base/error.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/message.h"
#include "job/open_model.h"
#include "serve/access.h"
#include "serve/jobs/dispatcher.h"
#include "serve/routes.h"
#include "serve/server.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

extern char **environ; /* no POSIX header declares it */

static const char command_name[] = "serve";

/* Opens a browser if the system has a command for it; the browser's own messages are discarded. */
static void open_browser(char *address) {
    char program[] = "xdg-open", *const words[] = {program, address, NULL};
    posix_spawn_file_actions_t silent;
    pid_t child;
    if (posix_spawn_file_actions_init(&silent) != 0) return;
    bool ok = posix_spawn_file_actions_addopen(&silent, STDOUT_FILENO, "/dev/null", O_WRONLY, 0) == 0 &&
              posix_spawn_file_actions_addopen(&silent, STDERR_FILENO, "/dev/null", O_WRONLY, 0) == 0 &&
              posix_spawnp(&child, program, &silent, NULL, words, environ) == 0;
    posix_spawn_file_actions_destroy(&silent);
    if (!ok) message("no browser could be opened: there is no xdg-open; the address is %s", address);
}

static listener listener_of(const options *o) {
    return (listener){.host = o->host, .path = o->socket, .port = (unsigned)o->port};
}

static void announce(const server *s, const options *o) {
    char address[200];
    listener l = listener_of(o);
    listener_describe(address, sizeof address, &l, s->port);
    printf("%s\n", address);
    fflush(stdout);
    if (!o->quiet) message("serving %s; Ctrl-C stops", *s->model->name ? s->model->name : s->model->path);
    if (o->open) open_browser(address);
}

static hw_err listen_until_interrupted(server *s, const options *o, hw_error *err) {
    listener l = listener_of(o);
    if (!server_start(s, &l, err)) return err->code;
    announce(s, o);
    static const struct timespec moment = {.tv_nsec = 100000000};
    while (!interrupt_seen()) nanosleep(&moment, NULL);
    queue_close(s->queue);
    server_stop(s);
    listener_remove(&l);
    return HW_OK;
}

/* The name of the model's file without folder and ending. */
static void name_model(server *s) {
    const char *base = strrchr(s->model->path, '/'), *end;
    base = base ? base + 1 : s->model->path;
    end = strstr(base, ".gguf");
    snprintf(s->model_id, sizeof s->model_id, "%.*s", end ? (int)(end - base) : (int)strlen(base), base);
}

static hw_err serve_with(server *s, const options *o, engine_process *engine, hw_error *err) {
    dispatcher d = {.engine = engine, .store = s->store, .queue = s->queue, .metrics = &s->metrics, .quiet = o->quiet};
    s->model = &engine->model;
    name_model(s);
    if (*s->model->problem)
        return hw__fail(err, HW_ERR_UNSUPPORTED, "this model cannot be explained: %s", s->model->problem);
    if (!dispatcher_start(&d, err)) return err->code;
    hw_err rc = listen_until_interrupted(s, o, err);
    queue_close(s->queue);
    dispatcher_join(&d);
    return rc;
}

static bool stop_loading(void *ctx) {
    (void)ctx;
    return interrupt_seen();
}

static hw_err serve_model(server *s, const options *o, hw_error *err) {
    progress bar = progress_new(!o->quiet && !o->verbose);
    engine_process engine = {.words = o->words, .n_words = o->n_words};
    engine_waiting waiting = {.progress = progress_show, .stop = stop_loading, .ctx = &bar};
    interrupt_catch();
    interrupt_catch_terminate();
    bool started = engine_process_start(&engine, &waiting, err);
    progress_erase(&bar);
    hw_err rc = started ? serve_with(s, o, &engine, err) : err->code;
    if (!started && interrupt_seen()) rc = err->code = (hw_err)ERR_INTERRUPTED;
    engine_process_clear(&engine);
    return rc;
}

/* Opens the store before the model, so that a store in use is reported at once. */
static hw_err open_store(server *s, const options *o, hw_error *err) {
    char *default_value = NULL;
    if (!o->store && !o->no_store && !store_default_path(&default_value, err)) return err->code;
    bool ok = store_open(&s->store, o->no_store ? NULL : o->store ? o->store : default_value, err);
    free(default_value);
    s->keeps = !o->no_store;
    return ok ? HW_OK : err->code;
}

static void send_news(void *ctx, int64_t id) {
    server *s = ctx;
    char text[40];
    snprintf(text, sizeof text, "{\"run\": %lld}", (long long)id);
    events_send(&s->news, "runs", text);
}

static hw_err serve_stored(server *s, const options *o, hw_error *err) {
    const char *path;
    hw_err rc = model_path(&path, o, err);
    if (rc == HW_OK) rc = open_store(s, o, err);
    if (rc != HW_OK) return rc;
    bool has_news = events_init(&s->news, false);
    s->queue = queue_new();
    if (has_news) store_on_change(s->store, send_news, s);
    rc =
        s->queue && has_news ? serve_model(s, o, err) : hw__fail(err, HW_ERR_MEMORY, "no memory for the queue of jobs");
    queue_free(s->queue);
    if (has_news) events_clear(&s->news);
    store_close(s->store);
    return rc;
}

static hw_err check_options(const options *o, hw_error *err) {
    if (o->arguments.n) return usage_error(err, "\"%s\": it takes no arguments", o->arguments.at[0]);
    if (o->store && o->no_store) return usage_error(err, "--store and --no-store: give one of them");
    if (o->socket && (GIVEN(o, host) || GIVEN(o, port) || o->open))
        return usage_error(err, "--socket cannot be combined with --host, --port or --open: it is no address");
    if (o->open && o->token_file)
        return usage_error(err, "--open and --auth-token-file: open the address yourself, with /?token=TOKEN");
    if (!listener_is_address(o->host))
        return usage_error(err, "--host \"%.100s\": must be a numeric address, as 127.0.0.1 or ::1", o->host);
    if (!o->token_file && !listener_is_local(o->host))
        return usage_error(err, "--host %s: other machines can reach it: give --auth-token-file", o->host);
    return HW_OK;
}

static hw_err run(const options *o, hw_error *err) {
    server s = {.port = 0, .hosts = o->allow_host.at, .n_hosts = o->allow_host.n};
    if (o->routes) {
        for (size_t i = 0; routes_at(i); i++)
            printf("%-7s%-28s%s\n", routes_at(i)->method, routes_at(i)->path, routes_at(i)->summary);
        return HW_OK;
    }
    char *token = NULL;
    hw_err rc = check_options(o, err);
    if (rc == HW_OK && o->token_file) rc = access_read_token(&token, o->token_file, err);
    s.token = token;
    if (rc == HW_OK) rc = serve_stored(&s, o, err);
    free(token);
    return rc;
}

static const char *const usage[] = {"-m MODEL [options]", NULL};
static const example examples[] = {
    {"the page in a browser; runs are kept for the next time", "headwater serve -m model.gguf --open"},
    {"for an afternoon: nothing is kept", "headwater serve -m model.gguf --port 8080 --no-store"},
    {"for other machines of the network", "headwater serve -m model.gguf --host 0.0.0.0 --auth-token-file token"},
    {NULL, NULL},
};

const command command_serve = {
    .name = command_name,
    .bit = IN_SERVE,
    .summary = "show and explain runs in a browser; answer clients of other chat APIs, with citations",
    .usage = usage,
    .about = "Loads a model and serves a page at the printed address, to write prompts, watch tokens being explained "
             "as they are generated, explore results and store runs. Only this machine can connect, unless --host says "
             "otherwise. Programs can use the same HTTP API, see docs/guide/server.md, and the chat APIs of OpenAI, "
             "Anthropic and Cohere, with citations, see docs/guide/clients.md. The model is loaded in a separate "
             "process: a crash there ends a job, not the server. Ctrl-C stops the server; a run in progress keeps its "
             "tokens and can be repeated.",
    .examples = examples,
    .run = run,
};
