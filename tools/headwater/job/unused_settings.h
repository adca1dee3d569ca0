/* unused_settings.h - settings and the methods that heed them. */
#ifndef HW_JOB_UNUSED_SETTINGS_H
#define HW_JOB_UNUSED_SETTINGS_H

#include "job/explain_job.h"

/* Of the settings that were given by hand each must be heeded by one of the methods at least. STATUS_DONE or
 * STATUS_USAGE, the reason printed. */
int heed_check(const job *j);

/* Whether a method heeds all of them. */
bool heed_all(const job *j, const char *method);

#endif
