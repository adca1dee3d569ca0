/* output_files.h - the files that a command will write, checked before any work is done. */
#ifndef HW_JOB_OUTPUT_FILES_H
#define HW_JOB_OUTPUT_FILES_H

#include "cli/options.h"
#include "export/html_report.h"

/* What -o accepts. */
typedef enum output_kind { OUTPUT_ANY, OUTPUT_FIGURES } output_kind;

/* Errors: ERR_USAGE, IO. They are: an unknown extension, an unknown kind of figure, options
 * for figures without a figure, a folder that is not writable, a device, one file named twice, or a file that is also
 * read (`inputs` [n], NULL entries are skipped). */
hw_err output_check(const options *o, const char *const *inputs, size_t n, output_kind kind, hw_error *err);
/* The same where every file is a .json; `what`: "citations are". */
hw_err output_check_json(const options *o, const char *what, const char *const *inputs, size_t n, hw_error *err);
/* The same for one file in another format. */
hw_err output_check_path(const char *path, const char *const *others, size_t n, hw_error *err);

/* Whether one of the -o files is a report. */
bool output_has_report(const options *o);
/* Saves the run's attributions to every -o file. One that cannot be saved is reported, and the others are saved:
 * ERR_REPORTED. */
hw_err output_save(const options *o, report_run run);

#endif
