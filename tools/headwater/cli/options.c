/*
 * options.c - the table of options, and the command line parser.
 *
 * Numbers are parsed strictly: the whole text, within the row's range. Every error names the option, the value and what
 * is accepted.
 */
#include "cli/options.h"

#include "base/error.h"
#include "cli/error_kinds.h"
#include "cli/names.h"
#include "cli/safe_text.h"

#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(list) (sizeof(list) / sizeof *(list))
#define AT(field)   offsetof(options, field)
#define MAX_INTEGER 2147483647.0

#define ENUM_PARSER(type)                                                                                              \
    static bool parse_##type(void *field, const char *text) {                                                          \
        hw_##type v;                                                                                                   \
        if (hw_##type##_parse(&v, text, NULL)) return false;                                                           \
        *(hw_##type *)field = v;                                                                                       \
        return true;                                                                                                   \
    }
ENUM_PARSER(precision)

/* A number of bytes, multiplied by a power of 1024 if a unit letter follows. */
static bool parse_memory(void *field, const char *text) {
    static const char units[] = "KMGT";
    char *end;
    if (*text < '0' || *text > '9') return false;
    double v = strtod(text, &end);
    const char *unit = *end ? strchr(units, *end) : NULL;
    if (*end && (!unit || end[1])) return false;
    for (long i = 0; unit && i <= unit - units; i++) v *= 1024;
    *(uint64_t *)field = (uint64_t)v;
    return v >= 1 && v < 1e18;
}

static bool read_whole(int64_t *out, const char *text, double min, double max);

/* A number of blocks, or "all". */
static bool parse_gpu_layers(void *field, const char *text) {
    if (strcmp(text, "all") != 0) return read_whole(field, text, -1, MAX_INTEGER);
    *(int64_t *)field = -1;
    return true;
}

static bool parse_color(void *field, const char *text) {
    static const char *const words[] = {"auto", "always", "never"};
    for (size_t i = 0; i < COUNT(words); i++) {
        if (strcmp(words[i], text) != 0) continue;
        *(color_mode *)field = (color_mode)i;
        return true;
    }
    return false;
}

/* Title in --help, and the reason given when an option of the group does not apply. */
static const struct group {
    const char *title, *refusal_reason;
} groups[] = {
    [GROUP_RUN] = {"Prompt and completion", "the tokens are given"},
    [GROUP_SAMPLING] = {"Sampling", "the tokens are given"},
    [GROUP_MODEL] = {"Model", "no model is loaded"},
    [GROUP_EVAL] = {"Measurement", "nothing is measured"},
    [GROUP_SERVE] = {"Server", "nothing is served"},
    [GROUP_WORKER] = {"Worker", "nothing is served"},
    [GROUP_FILES] = {"Files", "nothing is saved"},
    [GROUP_METHOD] = {"Explanation", "it holds computed explanations"},
    [GROUP_VIEW] = {"View", "nothing is displayed"},
    [GROUP_FIGURE] = {"Figure (-o .png .svg .pdf)", "nothing is drawn"},
    [GROUP_TERMINAL] = {"Terminal", "nothing is displayed"},
};

enum {
    IN_SAVED = IN_VIEW | IN_PLOT,
    IN_BOTH = IN_EXPLAIN | IN_SAVED,
    IN_RUNS = IN_EXPLAIN | IN_CHECK | IN_CITE,
    IN_MODEL = IN_RUNS | IN_INFO | IN_EVAL | IN_SERVE,
    IN_EACH = IN_BOTH | IN_CHECK | IN_CITE
};

#define RUN(in, from)          .group = GROUP_RUN, .commands = in, .sources = from
#define SAMPLING               .group = GROUP_SAMPLING, .commands = IN_RUNS, .sources = FROM_MODEL
#define MODEL(in)              .group = GROUP_MODEL, .commands = in, .sources = FROM_MODEL
#define EVAL                   .group = GROUP_EVAL, .commands = IN_EVAL, .sources = FROM_MODEL
#define SERVE                  .group = GROUP_SERVE, .commands = IN_SERVE, .sources = FROM_MODEL
#define WORKER                 .group = GROUP_WORKER, .commands = IN_WORKER, .sources = FROM_MODEL
#define FILES(in, from)        .group = GROUP_FILES, .commands = in, .sources = from
#define METHOD(in, from)       .group = GROUP_METHOD, .commands = in, .sources = from
#define SETTING(in, from, by)  METHOD(in, from), .uses = HW_USES_##by
#define VIEW                   .group = GROUP_VIEW, .commands = IN_BOTH, .sources = FROM_ANY
#define FIGURE                 .group = GROUP_FIGURE, .commands = IN_BOTH, .sources = FROM_ANY
#define TERMINAL(in)           .group = GROUP_TERMINAL, .commands = in, .sources = FROM_ANY
#define FLAG(field)            .type = OPTION_FLAG, .offset = AT(field)
#define TEXT(field)            .type = OPTION_TEXT, .offset = AT(field)
#define NAMES(field)           .type = OPTION_NAMES, .offset = AT(field)
#define TEXTS(field)           .type = OPTION_TEXTS, .offset = AT(field)
#define NAMED_BY(table)        .names = NAMES_OF_##table
#define WORD(field)            .type = OPTION_ENUM, .offset = AT(field), .parse = parse_##field
#define WHOLE(field, from, to) .type = OPTION_INTEGER, .offset = AT(field), .min = from, .max = to
#define REAL(field, from, to)  .type = OPTION_REAL, .offset = AT(field), .min = from, .max = to

/* Spellings and environment variable of the option with the same meaning in llama.cpp's programs. */
#define ALSO(...)      .also = {__VA_ARGS__}
#define PREDICT        ALSO("--predict", "--n-predict")
#define VARIABLE(name) .variable = "LLAMA_ARG_" name

/* A row of the library's table of run options: help, default and range come from there unless they are set here. */
#define OF_RUN(field) .type = OPTION_RUN, .offset = AT(run.field)

/* Positions of the rows of the table of settings, and of those run options that no row below names. */
#define SETTINGS_HERE    "settings"
#define RUN_OPTIONS_HERE "run options"

static const option_row own_rows[] = {
    {"passages", 0, "FILE", TEXT(passages), RUN(IN_CITE, FROM_MODEL | FROM_TRACE),
     .help = "passages as a JSON list: [{\"name\": \"A\", \"text\": \"...\"}, ...]; with --question the prompt is "
             "built from them, otherwise each passage is searched for in the prompt"},
    {"question", 0, "TEXT", TEXT(question), RUN(IN_CITE, FROM_MODEL),
     .help = "the prompt consists of the passages as \"NAME: TEXT\", each followed by an empty line, \"Question: "
             "TEXT\" and, without --chat, the line \"Answer:\""},
    {"prompt", 'p', "TEXT", TEXT(prompt), RUN(IN_RUNS, FROM_MODEL), .help = "the prompt"},
    {"file", 'f', "FILE", TEXT(file), RUN(IN_RUNS, FROM_MODEL),
     .help = "read the prompt from this file, including its final newline; a byte order mark at the start is "
             "skipped; - is standard input"},
    {"generate", 'n', "N", OF_RUN(n_generate), RUN(IN_EXPLAIN | IN_CHECK, FROM_MODEL), PREDICT, VARIABLE("N_PREDICT")},
    {"generate", 'n', "N", OF_RUN(n_generate), RUN(IN_CITE, FROM_MODEL), .default_value = "128", PREDICT,
     VARIABLE("N_PREDICT")},
    {"completion", 0, "TEXT", TEXT(completion), RUN(IN_RUNS, FROM_MODEL),
     .help = "use this completion instead of generating one"},
    {.name = "chat", OF_RUN(chat), RUN(IN_RUNS | IN_EVAL, FROM_MODEL)},
    {"system", 0, "TEXT", TEXT(system), RUN(IN_RUNS, FROM_MODEL),
     .help = "system message placed before the prompt; implies --chat"},
    {"messages", 0, "FILE", TEXT(messages), RUN(IN_RUNS, FROM_MODEL),
     .help = "conversation instead of a prompt, as an OpenAI message list: [{\"role\": \"user\", \"content\": "
             "\"...\"}, ...]; implies --chat"},
    {"chat-template", 0, "FILE", TEXT(chat_template), RUN(IN_RUNS | IN_EVAL, FROM_MODEL),
     .help = "Jinja template to use instead of the model's; implies --chat"},
    {"thinking", 0, "on|off", OF_RUN(thinking), RUN(IN_RUNS | IN_EVAL, FROM_MODEL), .default_value = ""},
    {.name = "special", OF_RUN(special), RUN(IN_RUNS | IN_EVAL, FROM_MODEL)},
    {.name = RUN_OPTIONS_HERE, RUN(IN_RUNS, FROM_MODEL)},

    {"temp", 0, "T", OF_RUN(temperature), SAMPLING, ALSO("--temperature"), VARIABLE("TEMPERATURE")},
    {"top-k", 0, "K", OF_RUN(top_k), SAMPLING, VARIABLE("TOP_K")},
    {"top-p", 0, "P", OF_RUN(top_p), SAMPLING, VARIABLE("TOP_P")},
    {"seed", 0, "S", OF_RUN(seed), .group = GROUP_SAMPLING, .commands = IN_EACH | IN_EVAL, .sources = FROM_RUN,
     .help = "seed of sampling, of random scores and of random masks; equal seeds give equal results",
     .refusal_reason = "it holds computed explanations"},

    {"model", 'm', "FILE|NAME", TEXT(model), NAMED_BY(MODELS), MODEL(IN_MODEL),
     .help = "model file (GGUF), or hf:OWNER/REPO[:QUANT], ollama:NAME[:TAG] or lmstudio:PUBLISHER/MODEL[:QUANT]; "
             "`headwater models` lists them [$HEADWATER_MODEL, $LLAMA_ARG_MODEL, $LLAMA_ARG_HF_REPO]"},
    {"hf-repo", 0, "OWNER/REPO[:QUANT]", TEXT(hf_repo), MODEL(IN_MODEL), ALSO("-hf", "-hfr"),
     .help = "the same as -m hf:OWNER/REPO[:QUANT]"},
    {"download", 0, NULL, FLAG(download), MODEL(IN_MODEL),
     .help = "-m hf:...: fetch the model into Hugging Face's cache if it is not there, from the hub that llama.cpp "
             "uses ($HF_ENDPOINT, $HF_TOKEN); a download that broke off is continued, and its SHA-256 verified"},
    {"jinja", 0, NULL, FLAG(jinja), MODEL(IN_RUNS | IN_EVAL | IN_SERVE),
     .help = "no effect: chat templates are always rendered with Jinja"},
    {"lora", 0, "FILE[=SCALE]", TEXTS(lora), MODEL(IN_MODEL),
     .help = "low-rank adapter (GGUF file) with its scale; can be repeated"},
    {"ctx", 'c', "N", WHOLE(ctx, 0, MAX_INTEGER), MODEL(IN_MODEL), .default_value = "0", ALSO("--ctx-size"),
     VARIABLE("CTX_SIZE"),
     .help = "maximum number of tokens of prompt and completion; 0: the model's training context"},
    {"threads", 't', "N", WHOLE(threads, 0, 1024), MODEL(IN_MODEL), .default_value = "0", VARIABLE("THREADS"),
     .help = "number of threads; 0: one per core"},
    {"gpu-layers", 0, "N", WORD(gpu_layers), MODEL(IN_MODEL), .default_value = "0", ALSO("-ngl", "--n-gpu-layers"),
     VARIABLE("N_GPU_LAYERS"), .accepts = "a whole number from -1 to 2147483647, or all",
     .help = "number of blocks that run on GPUs and workers; -1: all, which is the default with --rpc or --device"},
    {"rpc", 0, "HOST:PORT,...", NAMES(rpc), MODEL(IN_MODEL), VARIABLE("RPC"),
     .help = "machines that run `headwater worker`; blocks are distributed over their devices and the local ones by "
             "free memory"},
    {"device", 0, "NAME,...", NAMES(device), MODEL(IN_MODEL), ALSO("-dev"), VARIABLE("DEVICE"),
     .help = "run blocks only on these devices, in this order; `headwater info` lists them"},
    {"ubatch", 0, "N", WHOLE(ubatch, 0, 65536), MODEL(IN_MODEL), .default_value = "0", ALSO("-ub", "--ubatch-size"),
     VARIABLE("UBATCH"), .help = "number of prompt tokens per forward pass; 0: 512"},
    {"f32-cache", 0, NULL, FLAG(f32_cache), MODEL(IN_MODEL),
     .help = "store keys and values as F32 instead of F16, for exact comparisons"},
    {"memory", 0, "BYTES|500M|2G", .type = OPTION_ENUM, .offset = AT(run.memory), .parse = parse_memory,
     MODEL(IN_RUNS | IN_EVAL | IN_SERVE),
     .accepts = "a number of bytes above 0, optionally followed by K, M, G or T, as in 500M",
     .help = "memory limit: a run whose estimate is larger is not started; default: no limit"},

    {"trace", 0, "FILE", TEXT(trace), FILES(IN_EXPLAIN | IN_CITE, FROM_RUN),
     .help = "with a model, save everything that explanations need to this file; without one, explain from this file"},
    {"trace-precision", 0, "f32|f16", WORD(precision), FILES(IN_EXPLAIN | IN_CITE, FROM_MODEL | FROM_ATTENTION),
     .default_value = "f32",
     .help = "precision of attention in --trace and --state files; f16 takes half the memory, and the rounding error "
             "is reported",
     .refusal_reason = "the precision is given by the file"},
    {"state", 0, "FILE", TEXT(state), FILES(IN_EXPLAIN | IN_CITE, FROM_MODEL),
     .help =
         "reuse the cached common prefix of the prompt: the tokens that the prompt shares with the run in this file "
         "are not evaluated again; a missing file is created, and a file of another model or with less than half of "
         "the prompt in common is replaced",
     .refusal_reason = "no model is loaded"},
    {"attention", 0, "FILE", TEXT(attention), FILES(IN_EXPLAIN, FROM_ATTENTION),
     .help = "explain attention exported by another program: .safetensors with a tensor `attention` [L,H,T,T] or "
             "[L,T,T]"},
    {"output", 'o', "FILE", TEXTS(output), FILES(IN_EXPLAIN | IN_VIEW, FROM_ANY),
     .help = "save the result, or a figure of it, in the format of the file extension; can be repeated"},
    {"output", 'o', "FILE", TEXTS(output), FILES(IN_PLOT, FROM_ANY),
     .help = "figure file; its extension selects the format; can be repeated"},
    {"output", 'o', "FILE", TEXTS(output), FILES(IN_CHECK, FROM_MODEL),
     .help = "save the figures as .json; can be repeated"},
    {"output", 'o', "FILE", TEXTS(output), FILES(IN_CITE, FROM_RUN),
     .help = "save the citations as .json; can be repeated"},
    {"full", 0, NULL, FLAG(full), FILES(IN_EXPLAIN | IN_VIEW, FROM_ANY),
     .help = "write the whole tensor to .json, not only its mean over layers"},

    {"method", 0, "LIST", TEXT(method), NAMED_BY(METHODS), METHOD(IN_BOTH, FROM_RUN), .default_value = "logit,rollout",
     .help = "comma-separated methods, each shown in its own view; methods of the default list that the run does not "
             "support are skipped"},
    {"method", 0, "LIST", TEXT(method), NAMED_BY(METHODS), METHOD(IN_CHECK, FROM_MODEL),
     .default_value = "logit,rollout", .help = "comma-separated methods; the verdict judges the first"},
    {"method", 0, "NAME", TEXT(method), NAMED_BY(METHODS), METHOD(IN_CITE, FROM_RUN), .default_value = CITING_METHODS,
     .help = "method whose scores select the citations; default: the first of these that the run supports (attention "
             "is not a default because its citations are often wrong)"},
    {.name = SETTINGS_HERE},
    {.name = "fuse",
     OF_RUN(fuse),
     METHOD(IN_EACH, FROM_MODEL | FROM_ATTENTION),
     .refusal_reason = "the heads were fused when the run was captured"},
    {"against", 0, "mean|distribution|second|TOKEN", OF_RUN(against), METHOD(IN_RUNS, FROM_MODEL),
     .refusal_reason = "logits are read only while the model runs"},
    {"through", 0, NULL, .type = OPTION_SETTING, .offset = AT(settings.through), SETTING(IN_RUNS, FROM_RUN, THROUGH),
     .help = "attribute the share of earlier completion tokens, recursively, to the prompt: the shares of prompt and "
             "model sum to 1; default of cite with logit"},
    {"through", 0, NULL, .type = OPTION_SETTING, .offset = AT(settings.through), SETTING(IN_SAVED, FROM_ANY, THROUGH),
     .help = "attribute the share of earlier completion tokens, recursively, to the prompt; needs a result saved "
             "with --columns all"},
    {"direct", 0, NULL, FLAG(direct), METHOD(IN_CITE, FROM_RUN),
     .help = "count only the direct share of the passages, not the share that reaches the answer through its earlier "
             "tokens"},
    {"rewrite", 0, NULL, FLAG(rewrite), METHOD(IN_CHECK, FROM_MODEL),
     .help = "generate the completion again without the top segment, and without the top three, of each method, and "
             "report whether the answer (the tokens of --token, default: all) is still in it"},
    {"rewrite", 0, NULL, FLAG(rewrite), EVAL,
     .help = "flip@1, flip@3: generate each right answer again without a method's top segment, and without its top "
             "three, and report how often another answer is given"},
    {"confirm", 0, "Q", WHOLE(confirm, 0, 32), METHOD(IN_CITE, FROM_MODEL), .default_value = "0",
     .help = "leave out each of the Q top passages and report by how much the answer's log probability falls: Q + 1 "
             "passes; two passages with the same content are left out together",
     .refusal_reason = "no model is loaded"},
    {"preset", 0, "NAME", TEXT(preset), NAMED_BY(PRESETS), METHOD(IN_BOTH, FROM_RUN),
     .help = "named group of settings; options on the command line override it"},

    {"by", 0, "NAME|/RE/", TEXT(by), NAMED_BY(SEGMENTERS), METHOD(IN_RUNS, FROM_RUN),
     .help = "split the prompt into segments: token, word, line, sentence, paragraph, or where a regular expression "
             "matches; default: token to explain, sentence to check and to cite"},
    {"by", 0, "NAME|/RE/", TEXT(by), NAMED_BY(SEGMENTERS), METHOD(IN_PLOT, FROM_ANY),
     .help = "split the prompt into segments and draw these: token, word, line, sentence, paragraph, or where a "
             "regular expression matches; default: the split of the result, else token"},
    {"spans", 0, "FILE", TEXT(spans), METHOD(IN_RUNS | IN_PLOT, FROM_ANY),
     .help = "segments from a JSON file: [{\"name\": \"A\", \"begin\": 0, \"end\": 120}, ...], in characters"},
    {"answer-by", 0, "NAME|/RE/", TEXT(answer_by), NAMED_BY(SEGMENTERS), METHOD(IN_CITE, FROM_RUN),
     .help = "split the answer in the same ways; default: sentence"},
    {"min-peak", 0, "X", REAL(min_peak, 0, 1e6), METHOD(IN_CITE, FROM_RUN), .default_value = "0",
     .help = "minimum peak to cite a passage; 0: the default of the method's rule, listed below"},
    {"token", 0, "SELECT", TEXT(token), METHOD(IN_CHECK, FROM_MODEL),
     .help = "completion tokens to judge: an index (-1: the last), a range A:B, or their text (=7 for the text 7); "
             "default: all together"},
    {"ablations", 0, "N", WHOLE(ablations, 2, 100000), METHOD(IN_CHECK, FROM_MODEL), .default_value = "64",
     .help = "number of random masks of the prompt, one forward pass each"},

    {"token", 0, "SELECT", TEXT(token), .group = GROUP_VIEW, .commands = IN_BOTH, .sources = FROM_ANY,
     .help = "completion tokens to show: an index (-1: the last), a range A:B, or their text (=7 for the text 7); "
             "default: the mean over all"},
    {"answer-by", 0, "NAME|/RE/", TEXT(answer_by), NAMED_BY(SEGMENTERS), VIEW,
     .help = "split the completion as --by splits the prompt, and list the mean over the tokens of each part"},
    {"layers", 0, "A-B", TEXT(layers), VIEW, .uses = HW_GIVES_LAYERS,
     .help = "layers to show, counted from 1, of methods that give values per layer; default: all"},
    {"hide", 0, "LIST", TEXT(hide), NAMED_BY(FILTERS), VIEW,
     .help = "prompt tokens to hide in the view: comma-separated filters, \"TEXT\" and /REGEX/"},
    {"keep", 0, "LIST", TEXT(keep), NAMED_BY(FILTERS), VIEW,
     .help = "prompt tokens that --hide does not hide, in the same notation"},
    {"normalise", 0, NULL, FLAG(normalise), VIEW,
     .help = "divide by the sum over all columns, so that the columns "
             "sum to 1"},
    {"lift", 0, NULL, FLAG(lift), VIEW,
     .help = "divide by the value under uniform attention at the same place: 1 means that position alone explains "
             "the value"},
    {"top", 0, "K", WHOLE(top, 0, 1e6), .group = GROUP_VIEW, .commands = IN_EXPLAIN | IN_VIEW, .sources = FROM_ANY,
     .default_value = "10", .help = "number of tokens in the list; figures then show only these"},
    {"top", 0, "K", WHOLE(top, 1, 1e6), .group = GROUP_VIEW, .commands = IN_PLOT, .sources = FROM_ANY,
     .default_value = "10", .help = "draw only the K tokens with the highest scores; default: all, in a profile 10"},

    {"kind", 0, "NAME", TEXT(kind), NAMED_BY(KINDS), FIGURE, .default_value = "bars",
     .help = "kind of figure, see below"},
    {"theme", 0, "NAME", TEXT(theme), NAMED_BY(THEMES), FIGURE, .default_value = "light",
     .help = "colour theme: light, dark, or that of the original note"},
    {"map", 0, "NAME", TEXT(map), NAMED_BY(MAPS), FIGURE,
     .help = "colour map; default: viridis for shares, shade for text and for signed values"},
    {"title", 0, "TEXT", TEXT(title), FIGURE,
     .help = "title instead of method and token; an empty one removes the heading"},
    {"width", 0, "POINTS", WHOLE(width, 200, 10000), FIGURE,
     .help = "page width; default: 720, or more if the labels need it"},
    {"scale", 0, "S", REAL(scale, 0.1, 20), FIGURE, .default_value = "2", .help = "pixels per point in .png"},
    {"font", 0, "NAME", TEXT(font), FIGURE, .help = "comma-separated font families; the first installed one is used"},

    {"method", 0, "LIST", TEXT(method), NAMED_BY(METHODS), EVAL,
     .default_value = "rollout,attention,contribution,logit,uniform,random,leave-one-out",
     .help = "comma-separated methods; METHOD:KEY=VALUE sets an option of one method (keys: the method settings of "
             "explain, and lift, layers, hide), as in contribution:norm,rollout:last:hide=first"},
    {"by", 0, "NAME|/RE/", TEXT(by), NAMED_BY(SEGMENTERS), EVAL,
     .help = "segments to judge: token, word, line, sentence, paragraph, or where a regular expression matches; "
             "default: the spans of the item, else sentences"},
    {"ablations", 0, "N", WHOLE(ablations, 0, 100000), EVAL, .default_value = "64",
     .help = "number of random masks of the prompt, one forward pass each, for rank agreement (LDS); 0: only "
             "evidence figures, without passes to judge methods"},
    {"against", 0, "mean|distribution|second|TOKEN", OF_RUN(against), EVAL},
    {"generate", 'n', "N", OF_RUN(n_generate), EVAL, .default_value = "3", PREDICT,
     .help = "maximum number of tokens to generate for items without a completion"},
    {"limit", 0, "N", WHOLE(limit, 0, 1e9), EVAL, .default_value = "0",
     .help = "evaluate only the first N items; 0: all"},
    {"shard", 0, "I/K", TEXT(shard), EVAL, .help = "evaluate only the I-th of K parts of the items, I from 1 to K"},
    {"output", 'o', "FILE", TEXT(results), EVAL,
     .help = "append each result to this file when it is complete; results already in it are not computed again"},
    {"merge", 0, NULL, FLAG(merge), EVAL,
     .help = "only merge result files of a data set, in its order, and list the missing items"},
    {"table", 0, NULL, FLAG(table), EVAL, .help = "print only the table of result files; several files are merged"},
    {"group-by", 0, "TAG", TEXT(group_by), EVAL,
     .help = "print a table per value of this tag of the items, or per "
             "model"},
    {"format", 0, "text|csv|json", TEXT(format), EVAL, .default_value = "text", .help = "format of the table"},

    {"port", 0, "N", WHOLE(port, 0, 65535), SERVE, .default_value = "0", VARIABLE("PORT"),
     .help = "port to listen on; 0: 4780, or a free port if 4780 is in use"},
    {"host", 0, "ADDRESS", TEXT(host), SERVE, .default_value = "127.0.0.1", VARIABLE("HOST"),
     .help = "address to listen on (IPv4 or IPv6); one that other machines can reach requires --auth-token-file"},
    {"auth-token-file", 0, "FILE", TEXT(token_file), SERVE,
     .help = "answer only requests with the token in this file: Authorization: Bearer TOKEN, or x-api-key: TOKEN; the "
             "page: /?token=TOKEN"},
    {"socket", 0, "PATH", TEXT(socket), SERVE,
     .help = "listen on a Unix socket, which only this user can open, instead of an address"},
    {"store", 0, "FILE", TEXT(store), SERVE,
     .help = "file in which runs are stored; default: headwater/runs.sqlite in $XDG_DATA_HOME or ~/.local/share"},
    {"allow-host", 0, "NAME", TEXTS(allow_host), SERVE,
     .help = "accept this host name too, for instance that of a proxy; can be repeated"},
    {"no-store", 0, NULL, FLAG(no_store), SERVE, .help = "store the newest 50 runs in memory only"},
    {"open", 0, NULL, FLAG(open), SERVE, .help = "open the page in a browser"},
    {"routes", 0, NULL, FLAG(routes), SERVE, .help = "print the routes of the HTTP API and exit"},

    {"port", 0, "N", WHOLE(port, 1, 65535), WORKER, .default_value = "50052", .help = "port to listen on"},
    {"host", 0, "ADDRESS", TEXT(host), WORKER, .default_value = "127.0.0.1",
     .help = "IPv4 address to listen on; any address but the default accepts other machines, without a password"},
    {"threads", 't', "N", WHOLE(threads, 0, 1024), WORKER, .default_value = "0",
     .help = "number of threads; 0: one per core"},
    {"device", 0, "NAME,...", NAMES(device), WORKER,
     .help = "devices to serve; default: all GPUs, or the CPU if there are none"},

    {"json", 0, NULL, FLAG(json), TERMINAL(IN_MODELS), .help = "as JSON, for programs"},
    {"color", 0, "auto|always|never", WORD(color), TERMINAL(IN_ALL), .default_value = "auto",
     .help = "colours; auto: only on a terminal, and not if NO_COLOR is set"},
    {"quiet", 'q', NULL, FLAG(quiet), TERMINAL(IN_ALL), .help = "print no progress and no remarks on standard error"},
    {"verbose", 'v', NULL, FLAG(verbose), TERMINAL(IN_ALL), .help = "print the engine's log on standard error"},
    {"help", 'h', NULL, FLAG(help), TERMINAL(IN_ALL), .help = "print this help"},
};

static const preset presets[] = {
    {"note",
     "the settings of the original note's figures: own rows; token 0 and common marks hidden",
     {{"method", "rollout"}, {"row", "own"}, {"hide", "first,note"}, {"theme", "note"}}},
};

/* own_rows with the library's tables inserted. Built by the first call: the command line is read before any thread
 * starts. */
static option_row rows[MAX_OPTIONS];
static size_t n_rows;
static char metavars[MAX_OPTIONS][64], defaults[MAX_OPTIONS][24];

/* "0..1|measured", "input|output", "N"; NULL for a flag. */
static const char *setting_metavar(char *out, size_t capacity, const hw_setting_info *s) {
    size_t n = 0, at = 0;
    if (s->type == HW_SETTING_FLAG) return NULL;
    if (s->type == HW_SETTING_TEXT) return "TEXT";
    if (s->type == HW_SETTING_WHOLE) return "N";
    if (s->type == HW_SETTING_WORD) {
        while (s->words[n]) n++;
        return hw__join_names_by(out, capacity, hw__names_of(s->words, n), "|", "|");
    }
    at = (size_t)snprintf(out, capacity, "%g..%g", s->min, s->max);
    for (size_t i = 0; i < hw_setting_count() && at < capacity; i++) {
        const hw_setting_info *word = hw_setting_at(i);
        if (word->option_word && strcmp(word->option, s->option) == 0)
            at += (size_t)snprintf(out + at, capacity - at, "|%s", word->option_word);
    }
    return out;
}

/* Adds a row; what it does not set is taken from `s`, its row of the library's table (nullable), and from the defaults
 * `usual`. */
static void add_row(option_row row, const hw_setting_info *s, const void *usual) {
    assert(n_rows < MAX_OPTIONS);
    if (s) {
        bool has_default = s->type != HW_SETTING_FLAG && s->type != HW_SETTING_TEXT;
        row.name = s->option;
        row.setting = s;
        row.uses = s->uses;
        if (!row.metavar) row.metavar = setting_metavar(metavars[n_rows], sizeof metavars[0], s);
        if (!row.help) row.help = s->help;
        if (!row.default_value && has_default)
            row.default_value = hw_setting_text(defaults[n_rows], sizeof defaults[0], usual, s);
        if (row.default_value && !*row.default_value) row.default_value = NULL;
        if (!row.offset) row.offset = sizeof(options) + n_rows; /* not a field of `options`: only a unique number */
    }
    rows[n_rows++] = row;
}

static bool is_own(const char *option) {
    for (size_t i = 0; i < COUNT(own_rows); i++)
        if (strcmp(own_rows[i].name, option) == 0) return true;
    return false;
}

/* Settings of methods; those that apply to more than explaining a run have a row in own_rows. */
static void add_settings(void) {
    hw_method_params usual = hw_method_params_default();
    for (size_t i = 0; i < hw_setting_count(); i++) {
        const hw_setting_info *s = hw_setting_at(i);
        if (!s->option || s->option_word || is_own(s->option)) continue;
        add_row((option_row){.type = OPTION_SETTING,
                             .group = GROUP_METHOD,
                             .commands = s->uses ? IN_EACH
                                                 : IN_BOTH, /* a setting without a trait changes which columns M has */
                             .sources = FROM_RUN},
                s, &usual);
    }
}

/* Adds the run option with this option name as the row `like`; NULL: all that own_rows does not name. */
static void add_run_options(const option_row *like, const char *option) {
    hw_run_params usual = hw_run_params_default();
    for (size_t i = 0; i < hw_run_option_count(); i++) {
        const hw_setting_info *s = hw_run_option_at(i);
        option_row row = *like;
        row.type = OPTION_RUN;
        if (s->option && (option ? strcmp(s->option, option) == 0 : !is_own(s->option))) add_row(row, s, &usual);
    }
}

static void make_rows(void) {
    for (size_t i = 0; i < COUNT(own_rows); i++) {
        const option_row *row = &own_rows[i];
        if (strcmp(row->name, SETTINGS_HERE) == 0)
            add_settings();
        else if (strcmp(row->name, RUN_OPTIONS_HERE) == 0)
            add_run_options(row, NULL);
        else if (row->type == OPTION_RUN)
            add_run_options(row, row->name);
        else
            add_row(*row, NULL, NULL);
    }
}

size_t options_count(void) {
    if (!n_rows) make_rows();
    return n_rows;
}
const option_row *options_row(size_t i) { return i < options_count() ? &rows[i] : NULL; }
const char *options_group_title(option_group group) { return groups[group].title; }
size_t presets_count(void) { return COUNT(presets); }
const preset *presets_at(size_t i) { return &presets[i]; }

static const option_row *find_row(const char *name) {
    for (size_t i = 0; i < options_count(); i++)
        if (strcmp(rows[i].name, name) == 0) return &rows[i];
    return NULL;
}

/* "-n" or "--temp", as the user typed it. */
typedef struct spelling {
    char text[40];
} spelling;
static spelling spell(const option_row *row) {
    spelling s;
    if (row->letter) {
        snprintf(s.text, sizeof s.text, "-%c", row->letter);
    } else {
        snprintf(s.text, sizeof s.text, "--%s", row->name);
    }
    return s;
}

bool options_given(const options *o, size_t offset) {
    for (size_t i = 0; i < options_count(); i++)
        if (rows[i].offset == offset && o->given[i]) return true;
    return false;
}

bool options_chosen(const options *o, size_t offset) {
    for (size_t i = 0; i < options_count(); i++)
        if (rows[i].offset == offset && o->from_variable[i]) return true;
    return options_given(o, offset);
}

/* ------------------------------------------------------------------ reading values */

static bool read_whole(int64_t *out, const char *text, double min, double max) {
    char *end;
    errno = 0;
    long long v = strtoll(text, &end, 10);
    bool plain = *text == '-' || (*text >= '0' && *text <= '9'); /* strtoll also accepts spaces and a plus sign */
    if (!plain || *end || errno || (double)v < min || (double)v > max) return false;
    *out = v;
    return true;
}

static bool read_real(double *out, const char *text, double min, double max) {
    if (!*text || text[strspn(text, "0123456789.eE+-")]) return false; /* strtod also accepts hex, inf and nan */
    char *end;
    double v = strtod(text, &end);
    if (*end || !(v >= min && v <= max)) return false;
    *out = v;
    return true;
}

static bool add_text(texts *list, const char *text) {
    const char **resized = realloc(list->at, (list->n + 1) * sizeof *resized);
    if (!resized) return false;
    list->at = resized;
    list->at[list->n++] = text;
    return true;
}

/* An empty list, for example from an unset variable, would mean "all", so it is rejected. */
static bool read_names(const char **out, const char *text) {
    for (const char *at = text; at; at = strchr(at, ','), at = at ? at + 1 : NULL)
        if (!*at || *at == ',') return false;
    *out = text;
    return true;
}

static bool read_value(options *o, const option_row *row, const char *text) {
    void *field = row->offset < sizeof *o ? (char *)o + row->offset : NULL;
    switch (row->type) {
    case OPTION_FLAG: *(bool *)field = true; return true;
    case OPTION_TEXT: *(const char **)field = text; return true;
    case OPTION_NAMES: return read_names(field, text);
    case OPTION_TEXTS: return add_text(field, text);
    case OPTION_INTEGER: return read_whole(field, text, row->min, row->max);
    case OPTION_REAL: return read_real(field, text, row->min, row->max);
    case OPTION_ENUM: return row->parse(field, text);
    case OPTION_SETTING: return hw_setting_read_option(&o->settings, row->name, text, NULL) == HW_OK;
    case OPTION_RUN: return hw_setting_read(&o->run, row->setting, text ? text : "true", NULL) == HW_OK;
    }
    return false;
}

static hw_err refuse_value(const option_row *row, const char *text, hw_error *err) {
    spelling s = spell(row);
    if (row->type == OPTION_INTEGER)
        return usage_error(err, "%s \"%s\": must be a whole number from %.0f to %.0f", s.text, text, row->min,
                           row->max);
    if (row->type == OPTION_REAL)
        return usage_error(err, "%s \"%s\": must be a number from %g to %g", s.text, text, row->min, row->max);
    if (row->type == OPTION_NAMES)
        return usage_error(err, "%s \"%s\": must be %s, and no name may be empty", s.text, text, row->metavar);
    if (row->type == OPTION_ENUM)
        return usage_error(err, "%s \"%s\": must be %s%s", s.text, text, row->accepts ? "" : "one of ",
                           row->accepts ? row->accepts : row->metavar);
    if (row->type == OPTION_RUN) {
        char accepts[240];
        return usage_error(err, "%s \"%s\": must be %s", s.text, text,
                           hw_setting_accepts(accepts, sizeof accepts, row->setting));
    }
    if (row->type == OPTION_SETTING) {
        hw_method_params scratch = hw_method_params_default();
        hw_error why = {.msg = ""};
        hw_setting_read_option(&scratch, row->name, text, &why);
        return usage_error(err, "%s \"%s\": %s", s.text, text, why.msg);
    }
    return hw__fail(err, HW_ERR_MEMORY, "%s \"%s\": no memory for it", s.text, text);
}

/* Sets every default, then those of this command. */
static void set_defaults(options *o, unsigned bit) {
    *o = (options){.settings = hw_method_params_default(), .run = hw_run_params_default()};
    for (size_t i = 0; i < 2 * options_count(); i++) {
        const option_row *row = &rows[i % options_count()];
        if (!row->default_value || (i >= options_count() && !(row->commands & bit))) continue;
        bool ok = read_value(o, row, row->default_value);
        assert(ok);
        (void)ok;
    }
}

static const char *preset_name(size_t i, const void *ctx) {
    (void)ctx;
    return presets[i].name;
}

static hw_err apply_preset(options *o, hw_error *err) {
    for (size_t i = 0; i < COUNT(presets); i++) {
        if (strcmp(presets[i].name, o->preset) != 0) continue;
        for (const preset_value *v = presets[i].values; v->option; v++) {
            const option_row *row = find_row(v->option);
            assert(row);
            if (!options_given(o, row->offset)) read_value(o, row, v->value);
        }
        return HW_OK;
    }
    char why[UNKNOWN_CAPACITY];
    return usage_error(err, "--preset \"%s\": %s", o->preset,
                       hw__unknown_name(why, sizeof why, o->preset, (hw__names){preset_name, NULL, COUNT(presets)}));
}

/* ------------------------------------------------------------------ reading a command line */

/* Input of getopt_long, made from the table. An option's value is its row + FIRST_ROW, which is larger than any
 * letter. */
enum { FIRST_ROW = 256 };
typedef struct grammar {
    struct option longs[4 * MAX_OPTIONS + 1];
    char shorts[2 * MAX_OPTIONS + 2];
} grammar;

static grammar make_grammar(unsigned bit) {
    grammar g = {.shorts = ":"}; /* with a colon first, getopt distinguishes a missing value from an unknown option */
    size_t n_longs = 0, n_shorts = 1;
    for (size_t i = 0; i < options_count(); i++) {
        if (!(rows[i].commands & bit)) continue;
        int takes = rows[i].metavar ? required_argument : no_argument;
        g.longs[n_longs++] = (struct option){rows[i].name, takes, NULL, FIRST_ROW + (int)i};
        for (const char *const *also = rows[i].also; *also; also++)
            if ((*also)[1] == '-') g.longs[n_longs++] = (struct option){*also + 2, takes, NULL, FIRST_ROW + (int)i};
        if (!rows[i].letter) continue;
        g.shorts[n_shorts++] = (char)rows[i].letter;
        if (rows[i].metavar) g.shorts[n_shorts++] = ':';
    }
    return g;
}

static const option_row *row_of(int value, unsigned bit) {
    if (value >= FIRST_ROW) return &rows[value - FIRST_ROW];
    for (size_t i = 0; i < options_count(); i++)
        if (rows[i].letter && rows[i].letter == value && rows[i].commands & bit) return &rows[i];
    return NULL;
}

/* `ctx`: the command's bit. */
static const char *row_name(size_t i, const void *ctx) {
    return rows[i].commands & *(const unsigned *)ctx ? rows[i].name : NULL;
}

/* A command: its name, and its bit in the table. */
typedef struct reader {
    const char *command;
    unsigned bit;
} reader;

static hw_err refuse_option(const reader *r, int value, const char *word, hw_error *err) {
    if (value >= FIRST_ROW) return usage_error(err, "--%s takes no value", row_of(value, r->bit)->name);
    if (value) return usage_error(err, "%s has no option -%c", r->command, value);
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(word + 2, "="), word + 2);
    const char *near = find_row(name) ? NULL : hw__nearest_name(name, (hw__names){row_name, &r->bit, options_count()});
    return usage_error(err, "%s has no option --%s%s%s%s", r->command, name, near ? "; did you mean --" : "",
                       near ? near : "", near ? "?" : "");
}

static hw_err take(options *o, const reader *r, int value, const char *word, hw_error *err) {
    if (value == '?') return refuse_option(r, optopt, word, err);
    const option_row *row = row_of(value == ':' ? optopt : value, r->bit);
    if (value == ':') return usage_error(err, "%s needs a value: %s", spell(row).text, row->metavar);
    if (!read_value(o, row, optarg)) return refuse_value(row, optarg, err);
    o->given[row - rows] = true;
    return HW_OK;
}

/* The row of the command that has the word as a further spelling. */
static const option_row *row_also(const char *word, unsigned bit) {
    for (size_t i = 0; i < options_count(); i++)
        for (const char *const *also = rows[i].also; rows[i].commands & bit && *also; also++)
            if (strcmp(*also, word) == 0) return &rows[i];
    return NULL;
}

const option_row *options_waiting(const char *word, unsigned bit) {
    const option_row *row;
    if (word[0] != '-' || !word[1] || strchr(word, '=')) return NULL;
    if ((row = row_also(word, bit)) != NULL) return row->metavar ? row : NULL;
    if (word[1] == '-') {
        const option_row *begun = NULL;
        for (size_t i = 0; word[2] && i < options_count(); i++) { /* getopt_long() accepts the beginning of a name */
            if (!(rows[i].commands & bit) || strncmp(rows[i].name, word + 2, strlen(word + 2)) != 0) continue;
            if (strcmp(rows[i].name, word + 2) == 0) return rows[i].metavar ? &rows[i] : NULL;
            if (rows[i].metavar) begun = &rows[i];
        }
        return begun;
    }
    for (const char *letter = word + 1; *letter; letter++)
        if ((row = row_of(*letter, bit)) != NULL && row->metavar) return letter[1] ? NULL : row;
    return NULL;
}

const option_row *options_named(const char *name, size_t n, unsigned bit) {
    for (size_t i = 0; i < options_count(); i++)
        if (rows[i].commands & bit && strlen(rows[i].name) == n && strncmp(rows[i].name, name, n) == 0) return &rows[i];
    return NULL;
}

/* Replaces spellings of several letters after one dash, which getopt_long() would read as letters. */
static void replace_short_spellings(unsigned bit, int argc, char **argv) {
    static char names[MAX_OPTIONS][32];
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        const option_row *row = argv[i][0] == '-' && argv[i][1] != '-' ? row_also(argv[i], bit) : NULL;
        if (row) {
            size_t at = (size_t)(row - rows);
            snprintf(names[at], sizeof names[at], "--%s", row->name);
            argv[i] = names[at];
        }
        if (options_waiting(argv[i], bit)) i++;
    }
}

/* Values of options that are not given. They do not count as given: what has nothing to act on is not refused. */
static hw_err read_variables(options *o, unsigned bit, hw_error *err) {
    for (size_t i = 0; i < options_count(); i++) {
        const option_row *row = &rows[i];
        const char *text = row->variable && row->commands & bit && !o->given[i] ? getenv(row->variable) : NULL;
        o->from_variable[i] = text && *text;
        if (!o->from_variable[i] || read_value(o, row, text)) continue;
        return usage_error(err, "%s=\"%s\" in the environment is not what --%s accepts: unset it, or give --%s instead",
                           row->variable, text, row->name, row->name);
    }
    return HW_OK;
}

hw_err options_read(options *o, const char *command, unsigned bit, int argc, char **argv, hw_error *err) {
    set_defaults(o, bit);
    replace_short_spellings(bit, argc, argv);
    o->words = argv;
    o->n_words = argc;
    grammar g = make_grammar(bit);
    opterr = 0;
    optind = 1;
    for (;;) {
        int value = getopt_long(argc, argv, g.shorts, g.longs, NULL);
        if (value == -1) break;
        hw_err rc = take(o, &(reader){command, bit}, value, argv[optind - 1], err);
        if (rc != HW_OK) return rc;
    }
    for (int i = optind; i < argc; i++)
        if (!add_text(&o->arguments, argv[i])) return hw__fail(err, HW_ERR_MEMORY, "no memory for the command line");
    if (o->model && o->hf_repo) return usage_error(err, "-m and --hf-repo: give one of them");
    hw_err rc = read_variables(o, bit, err);
    return rc == HW_OK && o->preset ? apply_preset(o, err) : rc;
}

void options_free(options *o) {
    free(o->output.at);
    free(o->arguments.at);
    free(o->allow_host.at);
    free(o->lora.at);
}

hw_err options_fit(const options *o, source from, hw_error *err) {
    const char *what = from == FROM_TRACE       ? "a saved trace"
                       : from == FROM_ATTENTION ? "--attention"
                       : from == FROM_RESULT    ? "a saved result"
                                                : "a model";
    for (size_t i = 0; i < options_count(); i++) {
        const option_row *row = &rows[i];
        if (!o->given[i] || row->sources & (unsigned)from) continue;
        return usage_error(err, "%s cannot be combined with %s: %s", spell(row).text, what,
                           row->refusal_reason ? row->refusal_reason : groups[row->group].refusal_reason);
    }
    return HW_OK;
}
