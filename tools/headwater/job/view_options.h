/* view_options.h - what the options say about views and figures. */
#ifndef HW_JOB_VIEW_OPTIONS_H
#define HW_JOB_VIEW_OPTIONS_H

#include "cli/options.h"
#include "figure/figure.h"
#include "terminal/attribution_view.h"

view_params view_of_options(const options *o);
figure_params figure_of_options(const options *o);

#endif
