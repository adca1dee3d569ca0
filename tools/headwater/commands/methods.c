/* methods.c - `headwater methods`: inputs, cost and limitations of each method. */
#include "cli/command.h"
#include "cli/message.h"

/* Lists the options that apply to a method, without --columns, --by and --spans, which apply to all. */
static void list_settings(char *out, size_t room, uint32_t traits) {
    size_t at = (size_t)snprintf(out, room, "no option of its own");
    for (size_t i = 0, n = 0; i < options_count() && at < room; i++) {
        if (!(traits & options_row(i)->uses) || options_row(i)->group == GROUP_VIEW) continue;
        at = n ? at : 0;
        at += (size_t)snprintf(out + at, room - at, "%s--%s", n++ ? ", " : "", options_row(i)->name);
    }
}

static int run(const options *o) {
    if (o->arguments.n) return misuse("methods", "takes no arguments");
    terminal t = terminal_detect(o->color);
    for (size_t i = 0; i < hw_method_count(); i++) {
        char heeds[200];
        const hw_method_info *m = hw_method_at(i);
        list_settings(heeds, sizeof heeds, m->traits);
        const struct {
            const char *label, *text;
        } lines[] = {
            {"needs", m->needs}, {"costs", m->cost}, {"blind to", m->blind}, {"heeds", heeds}, {"from", m->reference}};
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
