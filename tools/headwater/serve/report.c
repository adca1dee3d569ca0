/*
 * report.c - the page holds an empty element of JSON; a report is the page with a document written there.
 *
 * No `<` may stand in that element, or a token could end it: inside JSON `<` occurs in strings only, where \u003c says
 * the same.
 */
#include "report.h"

#include "page.h"
#include "tables.h"
#include "whole.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char ending[] = ".html";
static const char opening[] = "<script type=\"application/json\" id=\"headwater-data\">";

bool report_is_path(const char *path) {
    size_t n = strlen(path), n_ending = strlen(ending);
    return n > n_ending && strcasecmp(path + n - n_ending, ending) == 0;
}

/* Where the page's data belong; its end if it has no place for them. */
static size_t find_place(void) {
    size_t n = strlen(opening);
    for (size_t i = 0; i + n <= page_html_size; i++)
        if (memcmp(page_html + i, opening, n) == 0) return i + n;
    return page_html_size;
}

static void add_escaped(buffer *to, const char *json) {
    while (*json) {
        size_t n = strcspn(json, "<");
        buffer_add(to, json, n);
        json += n;
        if (*json) buffer_text(to, "\\u003c");
        json += *json == '<';
    }
}

void report_add(buffer *to, const char *const *runs, size_t n, const hw_model_info *model) {
    size_t place = find_place();
    buffer tables = {.n = 0};
    tables_add(&tables, model);
    buffer_add(to, page_html, place);
    buffer_printf(to, "{\"format\":\"headwater-document\",\"version\":1,\"headwater\":\"%s\",\"runs\":[", hw_version());
    for (size_t i = 0; i < n; i++) {
        if (i) buffer_text(to, ",");
        add_escaped(to, runs[i]);
    }
    buffer_text(to, "],\"tables\":");
    if (!tables.failed) add_escaped(to, tables.bytes);
    to->failed = to->failed || tables.failed;
    buffer_free(&tables);
    buffer_text(to, "}");
    buffer_add(to, page_html + place, page_html_size - place);
}

hw_err report_save(const hw_attribution *const *list, size_t n, const char *path, hw_error *err) {
    char *run;
    hw_err rc = hw_document_json(&run, NULL, hw_attribution_run(list[0]), NULL, list, n, err);
    if (rc != HW_OK) return rc;
    buffer page = {.n = 0};
    const char *runs[] = {run};
    report_add(&page, runs, 1, hw_run_model(hw_attribution_run(list[0])));
    free(run);
    if (page.failed) {
        rc = err->code = HW_ERR_MEMORY;
        snprintf(err->msg, sizeof err->msg, "no memory for the report");
    } else {
        rc = whole_write(path, page.bytes, page.n, err);
    }
    buffer_free(&page);
    return rc;
}
