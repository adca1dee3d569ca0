/*
 * citation.h - marks of a finished citation.
 *
 * The folder evaluate/: tests of explanations: faithfulness in numbers, a verdict in words, and which passages an
 * answer cites.
 */
#ifndef HW_EVALUATE_CITATION_H
#define HW_EVALUATE_CITATION_H

#include "headwater.h"

/* Sets the mark of a part and a passage; then hw__citation_marks_changed() updates those of the whole answer, and the
 * order. */
void hw__citation_set_mark(hw_citation *c, size_t part, size_t passage, bool marked);
void hw__citation_marks_changed(hw_citation *c);

#endif
