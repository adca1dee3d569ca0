/* clock.h - elapsed seconds, independent of changes to the time of day. */
#ifndef HW_CLI_CLOCK_H
#define HW_CLI_CLOCK_H

/* Seconds since an arbitrary fixed moment. */
double clock_seconds(void);

#endif
