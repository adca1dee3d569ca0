/* methods.c - `headwater methods`: inputs, cost and limitations of each method. */
#include "base/strlist.h"
#include "cli/command.h"
#include "cli/message.h"

#include <string.h>

/* Lists the options that apply to a method, without --columns, --by and --spans, which apply to all. */
/* An option has several rows where commands differ; the first one of the name is listed. */
static bool is_repeated(size_t i) {
    for (size_t k = 0; k < i; k++)
        if (strcmp(options_row(k)->name, options_row(i)->name) == 0) return true;
    return false;
}

static const char *setting_name(size_t i, const void *traits) {
    const option_row *row = options_row(i);
    bool applies = *(const uint32_t *)traits & row->uses && row->group != GROUP_VIEW;
    return applies && !is_repeated(i) ? row->name : NULL;
}

static void list_settings(char *out, size_t capacity, uint32_t traits) {
    char names[200];
    hw__join_names_by(names, sizeof names, (hw__names){setting_name, &traits, options_count()}, ", --", ", --");
    snprintf(out, capacity, "%s%s", *names ? "--" : "no option of its own", names);
}

static hw_err run(const options *o, hw_error *err) {
    if (o->arguments.n) return usage_error(err, "takes no arguments");
    terminal t = terminal_detect(o->color);
    for (size_t i = 0; i < hw_method_count(); i++) {
        char active[200];
        const hw_method_info *m = hw_method_at(i);
        list_settings(active, sizeof active, m->traits);
        const struct {
            const char *label, *text;
        } lines[] = {{"needs", m->needs},
                     {"costs", m->cost},
                     {"not shown", m->limitations},
                     {"settings", active},
                     {"from", m->reference}};
        if (i) putc('\n', t.out);
        terminal_bold(&t);
        fputs(m->name, t.out);
        terminal_plain(&t);
        fprintf(t.out, ": %s\n", m->summary);
        for (size_t k = 0; k < sizeof lines / sizeof *lines; k++)
            fprintf(t.out, "  %-10s%s\n", lines[k].label, lines[k].text);
    }
    return HW_OK;
}

static const char *const usage[] = {"", NULL};
static const example examples[] = {{NULL, NULL}};

const command command_methods = {
    .name = "methods",
    .bit = IN_METHODS,
    .summary = "list the methods with requirements, cost and limitations",
    .usage = usage,
    .about = "Lists the methods that explain --method takes.",
    .examples = examples,
    .run = run,
};
