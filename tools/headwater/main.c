/* main.c - finds the command, reads its options, runs it, and checks that its output was written. */
#include "base/parallel_for.h"
#include "base/strlist.h"
#include "cli/command.h"
#include "cli/message.h"
#include "cli/safe_text.h"
#include "command_table.h"
#include "completion.h"
#include "help.h"
#include "manual.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static const char *command_name(size_t i, const void *ctx) {
    (void)ctx;
    return commands_at(i)->name;
}

static int unknown_command(const char *name) {
    hw_error err;
    const char *near = hw__nearest_name(name, (hw__names){command_name, NULL, commands_count()});
    usage_error(&err, "unknown command \"%s\"%s%s%s", name, near ? "; did you mean " : "", near ? near : "",
                near ? "?" : "");
    return error_exit(NULL, &err);
}

static int run_command(const command *c, int argc, char **argv) {
    options o;
    hw_error err = {.code = HW_OK};
    hw_err rc = options_read(&o, c->name, c->bit, argc, argv, &err);
    if (rc == HW_OK && o.help) {
        help_command(stdout, c);
    } else if (rc == HW_OK) {
        if (o.threads > 0) omp_set_num_threads((int)o.threads);
        rc = c->run(&o, &err);
    }
    options_free(&o);
    err.code = rc;
    return rc == HW_OK ? STATUS_DONE : error_exit(c->name, &err);
}

/* Prints a page of the program, or of the command that is named. */
static int print_page(int argc, char **argv, void (*whole)(FILE *), void (*one)(FILE *, const command *)) {
    if (argc < 3) {
        whole(stdout);
        return STATUS_DONE;
    }
    const command *c = commands_find(argv[2]);
    if (!c) return unknown_command(argv[2]);
    one(stdout, c);
    return STATUS_DONE;
}

static int run_help(int argc, char **argv) { return print_page(argc, argv, help_program, help_command); }

static int run_manual(int argc, char **argv) { return print_page(argc, argv, manual_program, manual_command); }

static int run_option_help(int argc, char **argv) {
    (void)argc;
    return run_help(1, argv);
}

static int run_version(int argc, char **argv) {
    (void)argc, (void)argv;
    printf("headwater %s\n", hw_version());
    return STATUS_DONE;
}

static int run_completion(int argc, char **argv) {
    completion_print(stdout, argc - 2, argv + 2);
    return STATUS_DONE;
}

/* Words in place of a command; "complete" is what completion functions of shells call. */
static const struct {
    const char *word;
    int (*run)(int argc, char **argv);
} words[] = {{"--help", run_option_help}, {"-h", run_option_help}, {"help", run_help},          {"manual", run_manual},
             {"--version", run_version},  {"-V", run_version},     {"complete", run_completion}};

static int dispatch(int argc, char **argv) {
    if (argc < 2) {
        help_program(stderr);
        return STATUS_USAGE;
    }
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(words[i].word, argv[1]) == 0) return words[i].run(argc, argv);
    const command *c = commands_find(argv[1]);
    return c ? run_command(c, argc - 1, argv + 1) : unknown_command(argv[1]);
}

/* Whether the reader closed the pipe early, as in `headwater ... | head`, which is not reported. */
static bool reader_left(void) {
    struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};
    return poll(&out, 1, 0) == 1 && out.revents & POLLERR;
}

int main(int argc, char **argv) {
    signal(SIGPIPE, SIG_IGN); /* a closed pipe shows as a failed write, and files are still saved */
    signal(SIGXFSZ, SIG_IGN); /* the limit on file size shows as a failed write, too */
    int status = dispatch(argc, argv);
    bool lost = ferror(stdout);
    if (fflush(stdout) == 0 && !lost) return status;
    if (!reader_left()) message("standard output could not be written");
    return status == STATUS_DONE ? STATUS_FAILED : status;
}
