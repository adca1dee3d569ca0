/* clock.h - seconds that pass, whatever the time of day is set to. */
#ifndef HEADWATER_CLOCK_H
#define HEADWATER_CLOCK_H

/* Since some moment in the past. */
double clock_seconds(void);

#endif
