/* view_parts.h - the parts of the view of an attribution, from top to bottom. */
#ifndef HW_TERMINAL_VIEW_PARTS_H
#define HW_TERMINAL_VIEW_PARTS_H

#include "picture/selection.h"

/* first_line.c; false when memory runs out */
bool first_line_print(const picture *p);
/* shaded_prompt.c; false when memory runs out */
bool shade_print(const picture *p);
/* top_tokens.c; false when memory runs out */
bool toplist_print(const picture *p, size_t n);
/* cautions.c */
void diagnose_print(const picture *p);

#endif
