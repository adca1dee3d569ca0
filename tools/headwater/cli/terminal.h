/* terminal.h - capabilities of standard output: colours, width, and the palette for shading. */
#ifndef HW_CLI_TERMINAL_H
#define HW_CLI_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

typedef enum color_mode { COLOR_AUTO, COLOR_ALWAYS, COLOR_NEVER } color_mode;
typedef enum color_depth { DEPTH_NONE, DEPTH_256, DEPTH_24BIT } color_depth;

typedef struct terminal {
    FILE *out;
    color_depth depth;
    int width;                     /* columns */
    const struct palette *palette; /* chosen for the background, if it is known */
    double faint;                  /* smaller values get no colour and no block */
} terminal;

/* Examines standard output and NO_COLOR, COLORTERM, TERM, COLORFGBG and COLUMNS. */
terminal terminal_detect(color_mode mode);

/* These print nothing if colours are off. */
void terminal_bold(const terminal *t);
void terminal_dim(const terminal *t);
void terminal_plain(const terminal *t);
void terminal_underline(const terminal *t);
/* Sets the background for a value from -1 to 1, and a readable text colour. */
void terminal_shade(const terminal *t, double level);

/* Whether a level exceeds 1 or -1 by more than rounding, so that it is larger than what is drawn. */
bool terminal_is_beyond(double level);
/* One of eight block characters of increasing height for a value from 0 to 1; a minus sign below 0. */
const char *terminal_block(double level);
/* A horizontal bar of `level` x `width` columns, in eighths of a column; minus signs below 0. A longer bar fills the
 * width and has two strokes before its end. Returns the columns drawn. */
int terminal_bar(FILE *out, double level, int width);

/* Columns of the terminal of `stream`, else of $COLUMNS, else 80; never below 20. */
int terminal_width(FILE *stream);
/* Whether standard error is a terminal that can move its cursor. */
bool terminal_has_live_stderr(void);

#endif
