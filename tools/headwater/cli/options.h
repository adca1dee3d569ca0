/*
 * options.h - all options of the command line, in one table that the parser, --help and the manual pages read.
 *
 * Settings of methods and options of runs become options automatically: rows made from the library's tables
 * (hw_setting_at(), hw_run_option_at()).
 *
 * To add another option: a field in `options`, a row in options.c. A row's default is text and is parsed like a value
 * from the user, so the help always states the actual default.
 */
#ifndef HW_CLI_OPTIONS_H
#define HW_CLI_OPTIONS_H

#include "cli/terminal.h"
#include "headwater.h"

/* Commands that accept an option; bits. */
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
    IN_WORKER = 512,
    IN_MODELS = 1024,
    IN_ALL = 2047
};

/* Maximum number of rows in the table. */
enum { MAX_OPTIONS = 160 };

/* What an explanation starts from; bits. An option that does not apply there is rejected. */
typedef enum source { FROM_MODEL = 1, FROM_TRACE = 2, FROM_ATTENTION = 4, FROM_RESULT = 8 } source;
enum { FROM_RUN = FROM_MODEL | FROM_TRACE | FROM_ATTENTION, FROM_ANY = 15 };

typedef struct texts {
    const char **at; /* [n] */
    size_t n;
} texts;

typedef struct options {
    const char *model, *hf_repo; /* at most one is set */
    const char *prompt, *file, *completion, *trace, *attention, *state;
    const char *system, *messages, *chat_template;
    const char *method, *by, *spans, *token, *layers, *hide, *keep, *preset;
    texts output, arguments; /* -o FILEs; arguments that are not options */
    int64_t ctx, threads, gpu_layers, ubatch, top, ablations;
    hw_method_params settings; /* settings of methods, see the library's table of settings */
    hw_run_params run;         /* options of the run, see the library's table of run options; and its memory limit */
    hw_precision precision;    /* --trace-precision */
    color_mode color;
    bool rewrite;    /* for check */
    int64_t confirm; /* for cite: number of passages to leave out */
    bool direct;     /* for cite, which by default uses `through` */
    bool normalise, lift, full, f32_cache, quiet, verbose, help, jinja, json, download;
    const char *results, *shard, *group_by, *format; /* for eval */
    int64_t limit;
    bool merge, table;
    const char *passages, *question, *answer_by; /* for cite; answer_by for explain and view too */
    double min_peak;
    const char *rpc, *device;                /* where blocks run */
    texts lora;                              /* FILE or FILE=SCALE each */
    const char *store, *token_file, *socket; /* for serve */
    int64_t port;                            /* for worker too */
    const char *host;                        /* for serve and worker */
    texts allow_host;
    bool no_store, open, routes;
    const char *kind, *theme, *map, *font, *title; /* for figures */
    int64_t width;
    double scale;
    char **words; /* [n_words] arguments after parsing: first the command's name; borrowed from main() */
    int n_words;
    bool given[MAX_OPTIONS];         /* row i of the table was on the command line */
    bool from_variable[MAX_OPTIONS]; /* its value is that of its environment variable */
} options;

typedef enum option_type {
    OPTION_FLAG,    /* bool */
    OPTION_TEXT,    /* const char * */
    OPTION_NAMES,   /* const char *: separated by commas, no empty name */
    OPTION_TEXTS,   /* texts: may be given several times */
    OPTION_INTEGER, /* int64_t between min and max */
    OPTION_REAL,    /* double between min and max */
    OPTION_ENUM,    /* an enum, parsed by `parse` */
    OPTION_SETTING, /* in options.settings, parsed by the library's table of settings */
    OPTION_RUN      /* in options.run, parsed by the library's table of run options */
} option_type;

/* The table with the names that a value may have or begin with, for completion in a shell. */
typedef enum option_names {
    NAMES_OF_NOTHING,
    NAMES_OF_METHODS,
    NAMES_OF_FILTERS,
    NAMES_OF_SEGMENTERS,
    NAMES_OF_PRESETS,
    NAMES_OF_KINDS,
    NAMES_OF_THEMES,
    NAMES_OF_MAPS,
    NAMES_OF_MODELS
} option_names;

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
    const char *metavar; /* NULL for flags; for enums the accepted values, unless `accepts` says what is accepted */
    option_type type;
    option_group group;
    unsigned commands; /* IN_ bits */
    unsigned sources;  /* FROM_ bits */
    size_t offset;     /* offset in options; a unique number beyond it for a row that only the library's tables have */
    /* for OPTION_RUN its row of the table, the source of what the row here does not set */
    const hw_setting_info *setting;
    double min, max;
    bool (*parse)(void *field, const char *text);
    const char *accepts;
    uint32_t uses;             /* trait of the methods that the setting applies to (HW_USES_* ...); 0: not a setting, or
                              for all methods */
    const char *default_value; /* default value, NULL: none */
    const char *help;          /* one sentence, no full stop */
    const char *refusal_reason; /* why the option is rejected outside `sources`; NULL: the group's reason */
    const char *also[5];        /* further spellings, llama.cpp's: "--n-predict", "-ngl"; the last entry is empty */
    option_names names;
    const char *variable; /* environment variable whose value is used if the option is not given; NULL: none */
} option_row;

size_t options_count(void);
const option_row *options_row(size_t i);
const char *options_group_title(option_group group);

/* Values for several options; options given explicitly override them. */
typedef struct preset_value {
    const char *option, *value;
} preset_value;
typedef struct preset {
    const char *name, *summary;
    preset_value values[6]; /* the last entry is empty */
} preset;
size_t presets_count(void);
const preset *presets_at(size_t i);

/* Parses argv[1..] of `command` (its name and bit). Values point into argv. Free with options_free(), on failure too.
 * Errors: ERR_USAGE, MEMORY. */
hw_err options_read(options *o, const char *command, unsigned bit, int argc, char **argv, hw_error *err);
void options_free(options *o);

/* The option of a command (its bit) whose value is the word after `word`; NULL: that word is no value. */
const option_row *options_waiting(const char *word, unsigned bit);
/* The command's option of this name [n]; NULL: none. */
const option_row *options_named(const char *name, size_t n, unsigned bit);

/* Whether the option with this field was given on the command line. */
bool options_given(const options *o, size_t offset);
bool options_chosen(const options *o, size_t offset);
#define GIVEN(o, field) options_given(o, offsetof(options, field))
/* Whether the user chose the value, on the command line or by the option's environment variable. */
#define CHOSEN(o, field) options_chosen(o, offsetof(options, field))

/* Error ERR_USAGE if an option was given that does not apply to `from`. */
hw_err options_fit(const options *o, source from, hw_error *err);

#endif
