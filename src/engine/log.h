/* log.h - the engine's log, see hw_log_set(). */
#ifndef HW_ENGINE_LOG_H
#define HW_ENGINE_LOG_H

#include "headwater.h"

void hw__log(hw_log_level level, const char *line);
/* Whether hw_log_set() has been called: only then the engine's log and abort callback are replaced. */
bool hw__log_is_set(void);

#endif
