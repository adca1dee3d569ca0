/* view_options.h - parameters of views and figures, made from the options. */
#ifndef HW_JOB_VIEW_OPTIONS_H
#define HW_JOB_VIEW_OPTIONS_H

#include "cli/options.h"
#include "figure/figure.h"
#include "terminal/attribution_view.h"

view_params view_of_options(const options *o);
figure_params figure_of_options(const options *o);

#endif
