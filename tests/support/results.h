/* results.h - results on disk for the tests of their formats, and the worked example of docs/reference/formats.md. */
#ifndef HW_TEST_RESULTS_H
#define HW_TEST_RESULTS_H

#include "headwater.h"

/* They fail the test where the library does. */
void must_save(const hw_attribution *a, const char *path, bool full);
hw_result *must_open(const char *path);
hw_file_kind kind_of(const char *path);

/* docs/reference/formats.md's example: "The cat" -> " sat". */
hw_run *worked_run(void);
hw_trace *worked_trace(void);
hw_attribution *worked_attribution(void);

#endif
