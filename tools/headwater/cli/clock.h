/*
 * clock.h - elapsed seconds, independent of changes to the time of day.
 *
 * The folder headwater/cli/: the command line: the table of options, messages and errors, terminal, safe text,
 * interrupts.
 */
#ifndef HW_CLI_CLOCK_H
#define HW_CLI_CLOCK_H

/* Seconds since an arbitrary fixed moment. */
double clock_seconds(void);

#endif
