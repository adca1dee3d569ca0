/*
 * options.h - what a command line can say, in one table that parsing, --help and the manual pages read.
 *
 * Settings of methods are options by themselves: rows made from the library's table (hw_setting_at()).
 *
 * Adding another option: a field in `options`, a row in options.c. A row's default is text and goes through the same
 * reader as a value from the user, so the help cannot disagree with what happens.
 */
#ifndef HW_CLI_OPTIONS_H
#define HW_CLI_OPTIONS_H

#include "headwater.h"
#include "cli/terminal.h"

/* Commands that take an option; bits. */
enum {
    IN_EXPLAIN = 1,
    IN_INFO = 2,
    IN_VIEW = 4,
    IN_METHODS = 8,
    IN_CHECK = 16,
    IN_EVAL = 32,
    IN_CITE = 64,
    IN_PLOT = 128,
    IN_SERVE = 256,
    IN_BENCH = 512,
    IN_WORKER = 1024,
    IN_ALL = 2047
};

/* Most rows that the table may have. */
enum { MOST_OPTIONS = 128 };

/* What an explanation starts from; bits. An option that has nothing to act on there is refused. */
typedef enum source { FROM_MODEL = 1, FROM_TRACE = 2, FROM_ATTENTION = 4, FROM_RESULT = 8 } source;
enum { FROM_RUN = FROM_MODEL | FROM_TRACE | FROM_ATTENTION, FROM_ANY = 15 };

typedef struct texts {
    const char **at; /* [n] */
    size_t n;
} texts;

typedef struct options {
    const char *model, *prompt, *file, *completion, *trace, *attention, *state;
    const char *system, *messages, *chat_template;
    hw_thinking thinking;
    bool special;
    const char *method, *versus, *by, *spans, *token, *layers, *hide, *keep, *preset;
    texts output, arguments; /* -o FILEs; what stands between the options */
    int64_t generate, top_k, seed, ctx, threads, gpu_layers, ubatch, top, ablations;
    double temp, top_p;
    hw_method_params settings; /* the methods': rows of the library's table of settings */
    hw_fuse fuse;
    hw_precision precision; /* --trace-precision */
    uint64_t memory;        /* bytes; 0: no limit */
    color_mode color;
    bool rewrite;    /* of check */
    int64_t confirm; /* of cite: passages to leave out */
    bool direct;     /* of cite, whose default is through */
    bool chat, normalise, lift, full, f32_cache, quiet, verbose, help;
    const char *results, *shard, *group_by, *format; /* of eval */
    const char *sizes, *variants;                               /* of bench */
    int64_t limit, rounds;
    bool merge, table;
    const char *passages, *question, *answer_by; /* of cite; answer_by of explain and view too */
    double least;
    const char *rpc, *device; /* where blocks run */
    const char *store;        /* of serve */
    int64_t port;             /* of worker too */
    const char *host;         /* of worker */
    texts allow_host;
    bool no_store, open, routes;
    const char *kind, *theme, *map, *font, *title; /* of figures */
    int64_t width;
    double scale;
    char **words; /* [n_words] what was read: the command's name first; borrowed from main() */
    int n_words;
    bool given[MOST_OPTIONS]; /* row i of the table was on the command line */
    bool out_of_memory; /* why they could not be read: no fault of the command line */
} options;

typedef enum option_type {
    OPTION_FLAG,  /* bool */
    OPTION_TEXT,  /* const char * */
    OPTION_NAMES, /* const char *: separated by commas, none of them empty */
    OPTION_TEXTS, /* texts: may be given several times */
    OPTION_WHOLE, /* int64_t between least and most */
    OPTION_REAL,  /* double between least and most */
    OPTION_WORD,  /* an enum, read by `word` */
    OPTION_SETTING /* in options.settings, read by the library's table of settings */
} option_type;

/* In the order of --help. */
typedef enum option_group {
    GROUP_RUN,
    GROUP_SAMPLING,
    GROUP_MODEL,
    GROUP_EVAL,
    GROUP_SERVE,
    GROUP_WORKER,
    GROUP_FILES,
    GROUP_METHOD,
    GROUP_VIEW,
    GROUP_FIGURE,
    GROUP_TERMINAL
} option_group;

typedef struct option_row {
    const char *name;
    int letter;          /* 0: none */
    const char *metavar; /* NULL for flags; for words the accepted ones, or `accepts` says what is accepted */
    option_type type;
    option_group group;
    unsigned commands; /* IN_ bits */
    unsigned sources;  /* FROM_ bits */
    size_t offset;     /* in options; of a setting a number of its own */
    double least, most;
    bool (*word)(void *field, const char *text);
    const char *accepts;
    uint32_t uses;         /* trait of the methods that heed it (HW_USES_* ...); 0: no setting of methods, or of all */
    const char *standard;  /* default, NULL: none */
    const char *help;      /* one sentence, no full stop */
    const char *elsewhere; /* why it is refused outside `sources`; NULL: the group's reason */
} option_row;

size_t options_count(void);
const option_row *options_row(size_t i);
const char *options_group_title(option_group group);

/* A set of values for some options, which those given by hand override. */
typedef struct preset_value {
    const char *option, *value;
} preset_value;
typedef struct preset {
    const char *name, *summary;
    preset_value values[6]; /* ends with an empty one */
} preset;
size_t presets_count(void);
const preset *presets_at(size_t i);

/* Reads argv[1..] of `command` (its name and bit). False: the reason was printed, exit with STATUS_USAGE.
 * Values point into argv. Free with options_free(). */
bool options_read(options *o, const char *command, unsigned bit, int argc, char **argv);
void options_free(options *o);

/* Was the option with this field given by hand? */
bool options_given(const options *o, size_t offset);
#define GIVEN(o, field) options_given(o, offsetof(options, field))

/* False, with the reason printed, when an option was given that has nothing to act on in `from`. */
bool options_fit(const options *o, const char *command, source from);

#endif
