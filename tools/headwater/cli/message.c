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

/* Whether the user stopped what failed; anything else may stop it, too. */
static bool is_interrupt(const hw_error *err) { return err->code == HW_ERR_CANCELLED && interrupt_seen(); }

hw_err error_report(const hw_error *err) {
    bool printed = error_kind_of(err->code)->printed;
    if (!printed) message("%s", is_interrupt(err) ? "interrupted" : err->msg);
    if (printed) return err->code;
    return (hw_err)(is_interrupt(err) ? ERR_INTERRUPTED : ERR_REPORTED);
}

int error_exit(const char *command, const hw_error *err) {
    hw_err code = error_report(err);
    if ((int)err->code != ERR_USAGE) return error_kind_of(code)->exit;
    fprintf(stderr, "See `headwater %s%s--help`.\n", command ? command : "", command ? " " : "");
    return STATUS_USAGE;
}
