/* cmd_methods.c - `headwater methods`: what each method reads, costs and does not show. */
#include "command.h"
#include "message.h"

static int run(const options *o) {
    if (o->arguments.n) return misuse("methods", "takes no arguments");
    terminal t = terminal_detect(o->color);
    for (size_t i = 0; i < hw_method_count(); i++) {
        const hw_method_info *m = hw_method_at(i);
        const struct {
            const char *label, *text;
        } lines[] = {{"needs", m->needs}, {"costs", m->cost}, {"blind to", m->blind}, {"from", m->reference}};
        if (i) putc('\n', t.out);
        terminal_bold(&t);
        fputs(m->name, t.out);
        terminal_plain(&t);
        fprintf(t.out, ": %s\n", m->summary);
        for (size_t k = 0; k < sizeof lines / sizeof *lines; k++)
            fprintf(t.out, "  %-10s%s\n", lines[k].label, lines[k].text);
    }
    return STATUS_DONE;
}

static const char *const usage[] = {"", NULL};
static const example examples[] = {{NULL, NULL}};

const command command_methods = {
    .name = "methods",
    .bit = IN_METHODS,
    .summary = "list the methods: what each needs, costs and does not show",
    .usage = usage,
    .about = "Lists the methods that explain --method takes.",
    .examples = examples,
    .run = run,
};
