/* format_table.c - the result formats, one row each, in listing order: a new format is one result_*.c and one row
 * here. */
#include "formats/result.h"

const hw__format *const hw__formats[] = {&hw__format_json, &hw__format_safetensors, &hw__format_csv, &hw__format_npy};
const size_t hw__n_formats = sizeof hw__formats / sizeof *hw__formats;
