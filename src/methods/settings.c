/* settings.c - the table. */
#include "methods/settings.h"

#include "base/error.h"
#include "base/sized.h"
#include "data/enum_names.h"
#include "data/setting.h"

#include <string.h>

#define FIELD(field) .offset = offsetof(hw_method_params, field), .size = sizeof((hw_method_params *)0)->field
#define WORDS(list)  .type = HW_SETTING_WORD, .words = list

/* In listing and display order. */
static const hw__setting rows[] = {
    {{.name = "row",
      .option = "row",
      .label = "Row",
      WORDS(hw__row_words),
      .uses = HW_USES_ROW,
      .help = "row that explains a token: that of the position that predicted it, or that of the token itself",
      .shown = HW_SHOWN_ALWAYS,
      .before = "row ",
      .after = ""},
     FIELD(row)},
    {{.name = "discard",
      .option = "discard",
      .label = "Discard",
      .type = HW_SETTING_NUMBER,
      .max = 1,
      .below_max = true,
      .uses = HW_USES_DISCARD,
      .optional = true,
      .help = "rollout and flow: share of the lowest weights of each row that is set to 0",
      .before = "lowest ",
      .after = " discarded"},
     FIELD(discard)},
    {{.name = "remove_sink",
      .option = "remove-sink",
      .label = "Remove sink",
      .type = HW_SETTING_FLAG,
      .uses = HW_USES_REMOVE_SINK,
      .optional = true,
      .help = "rollout and flow: set attention to token 0 to 0 in every layer",
      .before = "sink removed",
      .after = ""},
     FIELD(remove_sink)},
    {{.name = "residual",
      .option = "residual",
      .label = "Residual",
      .type = HW_SETTING_NUMBER,
      .max = 1,
      .default_value = 0.5,
      .uses = HW_USES_RESIDUAL,
      .help = "rollout and flow: weight of the residual stream relative to attention: a number, or as measured for "
              "each token and layer",
      .shown = HW_SHOWN_WHERE_USED,
      .before = "residual ",
      .after = ""},
     FIELD(residual)},
    {{.name = "residual_measured",
      .option = "residual",
      .option_word = "measured",
      .label = "Residual as measured",
      .type = HW_SETTING_FLAG,
      .uses = HW_USES_RESIDUAL,
      .optional = true,
      .help = "use the measured change of the stream by attention, per token and layer, instead of `residual`",
      .before = "residual measured",
      .after = ""},
     FIELD(residual_measured)},
    {{.name = "direction",
      .option = "direction",
      .label = "Direction",
      WORDS(hw__direction_words),
      .uses = HW_USES_DIRECTION,
      .help = "rollout: compose layers from the embeddings upwards, or from the last "
              "layer downwards",
      .shown = HW_SHOWN_WHERE_USED,
      .before = "direction ",
      .after = ""},
     FIELD(direction)},
    {{.name = "measure",
      .option = "measure",
      .label = "Measure",
      WORDS(hw__measure_words),
      .uses = HW_USES_MEASURE,
      .help = "contribution: measure of the size of a contribution",
      .shown = HW_SHOWN_WHERE_USED,
      .before = "measure ",
      .after = ""},
     FIELD(measure)},
    {{.name = "aggregate",
      .option = "aggregate",
      .label = "Over layers",
      WORDS(hw__aggregate_words),
      .uses = HW_USES_AGGREGATE,
      .optional = true,
      .help = "contribution: mean over layers, or layers composed as rollout composes attention",
      .before = "aggregate ",
      .after = ""},
     FIELD(aggregate)},
    {{.name = "columns",
      .option = "columns",
      WORDS(hw__columns_words),
      .help = "attribute to prompt tokens only, or to completion tokens too",
      .before = "columns ",
      .after = ""},
     FIELD(columns)},
    {{.name = "through",
      .option = "through",
      .label = "Through the answer",
      .type = HW_SETTING_FLAG,
      .uses = HW_USES_THROUGH,
      .optional = true,
      .sparse = true,
      .help = "attribute the share of earlier completion tokens, recursively, to the prompt",
      .before = "through the completion",
      .after = ""},
     FIELD(through)},
    {{.name = "seed",
      .type = HW_SETTING_WHOLE,
      .max = 4294967295.0,
      .json_text = true,
      .uses = HW_USES_SEED,
      .help = "seed of random scores and masks; equal seeds give equal results",
      .before = "seed ",
      .after = ""},
     FIELD(seed),
     .any_in_files = true},
    {{.name = "n_ablations",
      .type = HW_SETTING_WHOLE,
      .min = 2,
      .max = 100000,
      .default_value = 64,
      .uses = HW_USES_MODEL,
      .help = "number of random masks of ablation, one forward pass each",
      .before = "",
      .after = " ablations"},
     FIELD(n_ablations),
     .any_in_files = true},
#ifdef HW_MADE_UP_SETTING /* tests/unit/program/cli/test_settings.c: a row that exists only there, on the field of
                             another row */
    {{.name = "made_up",
      .option = "made-up",
      .label = "Made up",
      .type = HW_SETTING_NUMBER,
      .max = 1,
      .below_max = true,
      .uses = HW_USES_DISCARD,
      .optional = true,
      .help = "a setting that only a test has",
      .before = "made up ",
      .after = ""},
     FIELD(discard)},
#endif
};
enum { N_ROWS = sizeof rows / sizeof *rows };

size_t hw_setting_count(void) { return N_ROWS; }
const hw_setting_info *hw_setting_at(size_t i) { return i < N_ROWS ? &rows[i].info : NULL; }

const hw_setting_info *hw_setting_find(const char *name) {
    for (size_t i = 0; name && i < N_ROWS; i++)
        if (strcmp(rows[i].info.name, name) == 0) return &rows[i].info;
    return NULL;
}

void hw_method_params_init(hw_method_params *params, size_t size) {
    hw_method_params p = {.size = sizeof p};
    for (size_t i = 0; i < N_ROWS; i++) hw__setting_put(&p, &rows[i].info, rows[i].info.default_value);
    hw__params_fill(params, size, &p, sizeof p);
}

hw_err hw__settings_check(const hw_method_params *p, hw_error *err) {
    hw_err rc = HW_OK;
    for (size_t i = 0; rc == HW_OK && i < N_ROWS; i++)
        if (rows[i].info.type != HW_SETTING_WHOLE) rc = hw__setting_check(p, &rows[i].info, err);
    return rc;
}

/* ------------------------------------------------------------------ as an option */

hw_err hw_setting_read_option(hw_method_params *p, const char *option, const char *text, hw_error *err) {
    if (!p || !option) return hw__fail(err, HW_ERR_ARGUMENT, "NULL: params and an option are needed");
    const hw__setting *main = NULL;
    bool taken = false;
    for (size_t i = 0; i < N_ROWS; i++) {
        const hw_setting_info *info = &rows[i].info;
        if (!info->option || strcmp(info->option, option) != 0) continue;
        if (!info->option_word) {
            main = &rows[i];
            continue;
        }
        bool is_it = text && strcmp(text, info->option_word) == 0;
        hw__setting_put(p, &rows[i].info, is_it);
        taken = taken || is_it;
    }
    if (!main) return hw__fail(err, HW_ERR_ARGUMENT, "unknown setting");
    if (taken) return HW_OK;
    hw_err rc = hw_setting_read(p, &main->info, text ? text : "true", err);
    for (size_t i = 0; rc != HW_OK && i < N_ROWS; i++) /* "must be a number from 0 to 1, or measured" */
        if (rows[i].info.option_word && strcmp(rows[i].info.option, option) == 0) {
            char accepts[240];
            hw_setting_accepts(accepts, sizeof accepts, &main->info);
            hw__fail(err, rc, "must be %s, or %s", accepts, rows[i].info.option_word);
        }
    return rc;
}
