/* message.c - errors and remarks on standard error; file names and model texts in them are untrusted and sanitised. */
#include "cli/message.h"

#include "cli/interrupt.h"
#include "cli/safe_text.h"

#include <stdarg.h>
#include <stdio.h>

static void print(const char *fmt, va_list args) HW_PRINTF(1, 0);
static void print(const char *fmt, va_list args) {
    char line[2048], safe[6 * sizeof line + 1] = ""; /* a two-byte control character becomes at most twelve bytes */
    vsnprintf(line, sizeof line, fmt, args);
    FILE *out = fmemopen(safe, sizeof safe, "w"); /* one write, so that lines of several threads do not mix */
    if (!out) { /* without memory: sanitises byte by byte, so that no text of a file reaches the terminal as a
                   command */
        for (char *c = line; *c; c++) *c = (unsigned char)*c < 0x20 || (unsigned char)*c >= 0x7f ? '?' : *c;
        fprintf(stderr, "headwater: %s\n", line);
        return;
    }
    text_puts(out, line);
    fclose(out);
    fprintf(stderr, "headwater: %s\n", safe);
}

void message(const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    print(fmt, args);
    va_end(args);
}

int fail(const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    print(fmt, args);
    va_end(args);
    return STATUS_FAILED;
}

int misuse(const char *command, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    print(fmt, args);
    va_end(args);
    fprintf(stderr, "See `headwater %s%s--help`.\n", command ? command : "", command ? " " : "");
    return STATUS_USAGE;
}

int fail_by(const hw_error *err) {
    bool interrupted = err->code == HW_ERR_CANCELLED && interrupt_seen();
    message("%s", interrupted ? "interrupted" : err->msg);
    int status = error_kind_of(err->code)->exit;
    return status == STATUS_USAGE || (status == STATUS_INTERRUPTED && !interrupted) ? STATUS_FAILED : status;
}

int fail_value(const char *command, const char *what, const hw_error *err) {
    if (error_kind_of(err->code)->exit == STATUS_USAGE) return misuse(command, "%s: %s", what, err->msg);
    return fail("%s: %s", what, err->msg);
}
