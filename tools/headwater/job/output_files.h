/* output_files.h - the files that a command is to write, checked before any work is done for them. */
#ifndef HW_JOB_OUTPUT_FILES_H
#define HW_JOB_OUTPUT_FILES_H

#include "cli/options.h"

/* What -o may name. */
typedef enum output_kind { OUTPUT_ANY, OUTPUT_FIGURES } output_kind;

/* STATUS_DONE, or the status to exit with, the reason printed: an ending that is no format, a kind of figure that does
 * not exist, options of figures without one, a folder that cannot be written, a device, one file named twice, or one that is
 * also read from (`inputs` [n], NULL entries are skipped). */
int output_check(const options *o, const char *command, const char *const *inputs, size_t n, output_kind kind);
/* The same for one file in a format of its own. */
int output_check_path(const char *command, const char *path, const char *const *others, size_t n);

/* Saves the attributions to every -o file. False, with the reason printed, when one could not be saved. */
bool output_save(const options *o, const hw_attribution *const *list, size_t n);

#endif
