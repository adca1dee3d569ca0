/* clock.h - seconds that pass, whatever the time of day is set to. */
#ifndef HW_CLI_CLOCK_H
#define HW_CLI_CLOCK_H

/* Since some moment in the past. */
double clock_seconds(void);

#endif
