/*
 * result_csv.c - one line per value, for spreadsheets and data frames: RFC 4180, UTF-8, lines end in CR LF.
 *
 *     completion_index,completion_token,prompt_index,prompt_token,layer,value
 *
 * A text that a spreadsheet would interpret as a formula (it begins with =, +, -, @, tab or CR) is prefixed with an
 * apostrophe. Indices count from 0; `layer` is the model's own block index, or -1 if the result has only the mean over
 * layers. With groups, prompt_index is the group's index and prompt_token its name, or the joined text of its tokens.
 */
#include "formats/result.h"

#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

/* Text as written to the file, quoted if necessary. */
typedef struct field {
    char *text; /* [n] malloc'd */
    size_t n;
} field;

static void free_fields(field *fields, size_t n) {
    for (size_t i = 0; fields && i < n; i++) free(fields[i].text);
    free(fields);
}

static bool needs_quotes(const char *text, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (memchr(",\"\r\n", text[i], 4)) return true;
    return false;
}

/* Makes the field of bytes [n]; false when memory runs out. */
static bool make_field(field *out, const char *bytes, size_t n) {
    size_t n_text, capacity;
    char *text = hw__utf8_shown(&n_text, bytes, n);
    if (!text) return false;
    *out = (field){.text = text, .n = n_text};
    bool formula = n_text > 0 && memchr("=+-@\t\r", text[0], 6) != NULL; /* spreadsheets evaluate it, quoted or not */
    if (!formula && !needs_quotes(text, n_text)) return true;
    char *quoted = hw__mul(&capacity, n_text, 2) && hw__add(&capacity, capacity, 3) ? hw__alloc(capacity, 1) : NULL;
    if (quoted) {
        size_t at = 0;
        quoted[at++] = '"';
        if (formula) quoted[at++] = '\'';
        for (size_t i = 0; i < n_text; i++) {
            if (text[i] == '"') quoted[at++] = '"';
            quoted[at++] = text[i];
        }
        quoted[at++] = '"';
        *out = (field){.text = quoted, .n = at};
    } else {
        *out = (field){0};
    }
    free(text);
    return quoted != NULL;
}

/* A token, or the tokens of a group, in displayed form, because part of a character is not valid text. groups NULL:
 * token k. */
static bool make_shown(field *out, const hw_run *run, const int32_t *groups, size_t n_tokens, size_t k) {
    size_t capacity,
        n = groups ? hw_run_group_text(NULL, 0, run, groups, n_tokens, (int32_t)k) : hw_run_token_text(NULL, 0, run, k);
    char *text = hw__add(&capacity, n, 1) ? hw__alloc(capacity, 1) : NULL;
    if (!text) return false;
    if (groups)
        hw_run_group_text(text, capacity, run, groups, n_tokens, (int32_t)k);
    else
        hw_run_token_text(text, capacity, run, k);
    bool ok = make_field(out, text, n);
    free(text);
    return ok;
}

static bool make_token(field *out, const hw_run *run, size_t i) { return make_shown(out, run, NULL, 0, i); }

/* The group's name if it has one; else its text. */
static bool make_group(field *out, const hw_attribution *a, size_t k) {
    const char *name = a->names ? a->names[k] : "";
    if (*name) return make_field(out, name, strlen(name));
    return make_shown(out, a->run, a->groups, hw__n_shown(&a->params, a->run), k);
}

/* The text of each column, [m] malloc'd; NULL when memory runs out. */
static field *column_fields(const hw_attribution *a) {
    field *fields = hw__alloc(a->n_columns, sizeof *fields);
    for (size_t k = 0; fields && k < a->n_columns; k++) {
        if (a->groups ? make_group(&fields[k], a, k) : make_token(&fields[k], a->run, k)) continue;
        free_fields(fields, k);
        return NULL;
    }
    return fields;
}

static void put_row(hw__file *file, const hw_attribution *a, size_t i, const field *row, const field *columns) {
    for (size_t k = 0; k < a->n_columns && !hw__file_failed(file); k++) {
        const float *cell = a->values + (i * a->n_columns + k) * a->n_layers; /* [L] */
        for (size_t l = 0; l < a->n_layers; l++) {
            hw__file_printf(file, "%zu,", i);
            hw__file_write(file, row->text, row->n);
            hw__file_printf(file, ",%zu,", k);
            hw__file_write(file, columns[k].text, columns[k].n);
            hw__file_printf(file, ",%d,", a->layers[l]);
            hw__file_float(file, cell[l], "");
            hw__file_text(file, "\r\n");
        }
    }
}

/* n = 1, and the file always holds the whole M. */
static hw_err save(hw__file *file, const hw_attribution *const *list, size_t n, bool full, hw_error *err) {
    (void)n;
    (void)full;
    const hw_attribution *a = list[0];
    field *columns = column_fields(a);
    if (!columns) return hw__fail_memory(err, "the prompt's tokens", a->n_columns, sizeof *columns);
    hw_err rc = HW_OK;
    hw__file_text(file, "completion_index,completion_token,prompt_index,prompt_token,layer,value\r\n");
    for (size_t i = 0; rc == HW_OK && i < a->n_rows; i++) {
        field row;
        if (make_token(&row, a->run, a->first_token + i))
            put_row(file, a, i, &row, columns);
        else
            rc = hw__fail_memory(err, "a token's text", 1, 1);
        if (rc == HW_OK) free(row.text);
    }
    free_fields(columns, a->n_columns);
    return rc;
}

const hw__format hw__format_csv = {
    .info = {.name = "csv",
             .extension = ".csv",
             .summary = "one line a value: completion token, prompt token, layer, value"},
    .save = save,
};
