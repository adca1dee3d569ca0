/*
 * html_report.c - a report is the page with a document written into its empty JSON element.
 *
 * No `<` may occur in that element, because a token could close it: in JSON `<` occurs only in strings, where \u003c
 * has the same meaning.
 */
#include "export/html_report.h"

#include "base/atomic_file.h"
#include "base/json.h"
#include "export/embedded_page.h"
#include "export/method_tables.h"
#include "export/run_citations.h"
#include "export/text_buffer.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char ending[] = ".html";
static const char opening[] = "<script type=\"application/json\" id=\"headwater-data\">";

bool report_is_path(const char *path) { return hw__has_extension(path, ending); }

/* Position of the data in the page; the end of the page if it has none. */
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
    buffer list = {.n = 0}, data = {.n = 0};
    buffer_list(&list, runs, n);
    json_t *head = json_pack("{s:s, s:i, s:s, s:o}", "format", "headwater-document", "version", 1, "headwater",
                             hw_version(), "tables", tables_json(model));
    buffer_splice(&data, head, "runs", list.bytes, list.n);
    to->failed = to->failed || list.failed || data.failed;
    buffer_add(to, page_html, place);
    if (!to->failed) add_escaped(to, data.bytes);
    buffer_add(to, page_html + place, page_html_size - place);
    buffer_free(&list);
    buffer_free(&data);
}

static hw_err fail_memory(hw_error *err) { return hw__fail(err, HW_ERR_MEMORY, "no memory for the report"); }

/* Adds a name as first member to a run's text, which is a JSON object; NULL when memory runs out. */
static char *add_name(const char *run, const char *name) {
    buffer text = {.n = 0};
    buffer_splice(&text, json_pack("{s:o}", "name", hw__json_replaced(name, strlen(name))), NULL, run, strlen(run));
    if (text.failed) buffer_free(&text);
    return text.bytes;
}

/* The run's text, with its citations. */
static hw_err run_text(char **out, report_run from, hw_error *err) {
    hw_err rc = hw_document_json(out, hw_attribution_run(from.list[0]), NULL, from.list, from.n, err);
    if (rc != HW_OK || !from.citations) return rc;
    *out = json_text_add(*out, "citations", json_incref(from.citations));
    return *out ? HW_OK : fail_memory(err);
}

hw_err report_gather(report *r, report_run from, hw_error *err) {
    char *run, **resized = realloc(r->runs, (r->n + 1) * sizeof *resized);
    if (!resized) return fail_memory(err);
    r->runs = resized;
    hw_err rc = run_text(&run, from, err);
    if (rc != HW_OK) return rc;
    if (r->name) {
        char *named = add_name(run, r->name);
        free(run);
        if (!named) return fail_memory(err);
        run = named;
    }
    r->runs[r->n++] = run;
    return HW_OK;
}

hw_err report_write(const report *r, const char *path, const hw_model_info *model, hw_error *err) {
    buffer page = {.n = 0};
    report_add(&page, (const char *const *)r->runs, r->n, model);
    hw_err rc = page.failed ? fail_memory(err) : hw__file_save(path, page.bytes, page.n, err);
    buffer_free(&page);
    return rc;
}

void report_free(report *r) {
    for (size_t i = 0; i < r->n; i++) free(r->runs[i]);
    free(r->runs);
    *r = (report){.n = 0};
}

hw_err report_save(report_run run, const char *path, hw_error *err) {
    report r = {.n = 0};
    hw_err rc = report_gather(&r, run, err);
    if (rc == HW_OK) rc = report_write(&r, path, hw_run_model(hw_attribution_run(run.list[0])), err);
    report_free(&r);
    return rc;
}
