/* terminal.h - what standard output can show: colours, width, and the colours of the shading. */
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
    const struct palette *palette; /* fits the background as far as it is known */
    double faint;                  /* weaker values are not worth a colour or a block */
} terminal;

/* Looks at standard output and at NO_COLOR, COLORTERM, TERM, COLORFGBG and COLUMNS. */
terminal terminal_detect(color_mode mode);

/* Nothing without colours. */
void terminal_bold(const terminal *t);
void terminal_dim(const terminal *t);
void terminal_plain(const terminal *t);
void terminal_underline(const terminal *t);
/* Background for a value from -1 to 1 and a text colour that can be read on it. */
void terminal_shade(const terminal *t, double level);

/* Whether a level is beyond 1 or -1 by more than rounding: what is drawn at full strength is stronger. */
bool terminal_is_beyond(double level);
/* One of eight block characters of rising height for a value from 0 to 1; below 0 a minus sign. */
const char *terminal_block(double level);
/* A horizontal bar of `level` x `width` columns, in eighths of one, minus signs below 0; a longer one fills the width
 * and has two strokes across it before its end. Returns the columns drawn. */
int terminal_bar(FILE *out, double level, int width);

/* Columns of the terminal behind `stream`, else of $COLUMNS, else 80; never below 20. */
int terminal_width(FILE *stream);
/* Standard error is a terminal that can move its cursor. */
bool terminal_has_live_stderr(void);

#endif
