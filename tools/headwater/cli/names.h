/* names.h - the names in the library's tables, as lists for messages. */
#ifndef HW_CLI_NAMES_H
#define HW_CLI_NAMES_H

#include "base/strlist.h"

hw__names method_names(void);
hw__names segmenter_names(void);

/* Sufficient for hw__unknown_name() with any list of the program. */
enum { UNKNOWN_CAPACITY = 700 };

/* Methods of citations, if none is named: the first that the run supports. */
#define CITING_METHODS "logit,contribution"

#endif
