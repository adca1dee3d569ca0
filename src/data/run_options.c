/* run_options.c - the table of a run's options. */
#include "data/run_options.h"

#include "base/error.h"
#include "base/sized.h"
#include "data/enum_names.h"
#include "data/setting.h"

#include <string.h>

#define FIELD(field) .offset = offsetof(hw_run_params, field), .size = sizeof((hw_run_params *)0)->field
#define WORDS(list)  .type = HW_SETTING_WORD, .words = list

/* In listing and display order. */
static const hw__setting rows[] = {
    {{.name = "n_generate",
      .option = "generate",
      .label = "Tokens",
      .type = HW_SETTING_WHOLE,
      .min = 1,
      .max = 1000000,
      .default_value = 32,
      .help = "maximum number of tokens to generate; fewer if the model ends its answer"},
     FIELD(n_generate),
     .any_in_files = true},
    {{.name = "temperature",
      .option = "temp",
      .label = "Temperature",
      .type = HW_SETTING_NUMBER,
      .max = 100,
      .help = "sampling temperature; 0: the most probable token"},
     FIELD(temperature),
     .any_in_files = true},
    {{.name = "top_k",
      .option = "top-k",
      .label = "Top k",
      .type = HW_SETTING_WHOLE,
      .max = 2147483647.0,
      .help = "sample from the K most probable tokens; 0: all"},
     FIELD(top_k),
     .any_in_files = true},
    {{.name = "top_p",
      .option = "top-p",
      .label = "Top p",
      .type = HW_SETTING_NUMBER,
      .min = 1e-6,
      .max = 1,
      .default_value = 1,
      .help = "sample from the most probable tokens whose probabilities sum to this share"},
     FIELD(top_p),
     .any_in_files = true},
    {{.name = "seed",
      .option = "seed",
      .label = "Seed",
      .type = HW_SETTING_WHOLE,
      .max = 4294967295.0,
      .uses = HW_USES_SEED,
      .help = "seed of sampling; equal seeds give equal completions"},
     FIELD(seed)},
    {{.name = "fuse",
      .option = "fuse",
      WORDS(hw__fuse_words),
      .uses = HW_USES_FUSE,
      .help = "attention, rollout and flow: how the heads of a layer are combined"},
     FIELD(fuse)},
    {{.name = "chat",
      .option = "chat",
      .label = "In the model’s chat template",
      .type = HW_SETTING_FLAG,
      .help = "apply the model's chat template to the prompt, as a user message"},
     FIELD(chat)},
    {{.name = "chat_template",
      .type = HW_SETTING_TEXT,
      .min = 1,
      .transient = true,
      .help = "Jinja template to use instead of the model's; with a chat"},
     FIELD(chat_template)},
    {{.name = "thinking",
      .option = "thinking",
      WORDS(hw__thinking_words),
      .optional = true,
      .sparse = true,
      .help = "whether the chat template enables the model's reasoning before the answer, if it supports this; with "
              "a chat"},
     FIELD(thinking)},
    {{.name = "special",
      .option = "special",
      .label = "Read control tokens",
      .type = HW_SETTING_FLAG,
      .optional = true,
      .sparse = true,
      .help = "parse control tokens such as <|im_end|> in prompt and completion as tokens, not as text"},
     FIELD(special)},
    {{.name = "against",
      .option = "against",
      .type = HW_SETTING_TEXT,
      .min = 1,
      .max = 200,
      .uses = HW_USES_AGAINST,
      .optional = true,
      .sparse = true,
      .help = "logit: what the chosen token's logit is compared with: mean (of all logits), distribution (their mean "
              "weighted by the model's probabilities), second (the most probable other token of each step) or the "
              "exact text of a token; default: mean"},
     FIELD(against)},
#ifdef HW_MADE_UP_OPTION /* tests/unit/program/cli/test_run_options.c: a row only there, on a field in use */
    {{.name = "made_up",
      .option = "made-up",
      .label = "Made up",
      .type = HW_SETTING_NUMBER,
      .max = 7,
      .help = "an option that only a test has"},
     FIELD(temperature)},
#endif
};
enum { N_ROWS = sizeof rows / sizeof *rows };

size_t hw_run_option_count(void) { return N_ROWS; }
const hw_setting_info *hw_run_option_at(size_t i) { return i < N_ROWS ? &rows[i].info : NULL; }

const hw_setting_info *hw_run_option_find(const char *name) {
    for (size_t i = 0; name && i < N_ROWS; i++)
        if (strcmp(rows[i].info.name, name) == 0) return &rows[i].info;
    return NULL;
}

void hw_run_params_init(hw_run_params *params, size_t size) {
    hw_run_params p = {.size = sizeof p};
    for (size_t i = 0; i < N_ROWS; i++) hw__setting_put(&p, &rows[i].info, rows[i].info.default_value);
    hw__params_fill(params, size, &p, sizeof p);
}

hw_err hw__run_options_check(const hw_run_params *p, hw_error *err) {
    hw_err rc = HW_OK;
    for (size_t i = 0; rc == HW_OK && i < N_ROWS; i++)
        if (rows[i].offset != offsetof(hw_run_params, n_generate) || !p->completion)
            rc = hw__setting_check(p, &rows[i].info, err);
    return rc;
}

bool hw__run_options_copy(hw_run_params *to, const hw_run_params *from, hw__arena *arena) {
    *to = hw_run_params_default();
    for (size_t i = 0; i < N_ROWS; i++) {
        const hw_setting_info *info = &rows[i].info;
        if (info->transient) continue;
        memcpy((char *)to + rows[i].offset, (const char *)from + rows[i].offset, rows[i].size);
        const char **text = info->type == HW_SETTING_TEXT ? hw__setting_at(to, info) : NULL;
        if (text && *text && !(*text = hw__arena_strdup(arena, *text))) return false;
    }
    return true;
}
