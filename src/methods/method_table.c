/*
 * method_table.c - the methods, one row each, in listing order. This file contains only the table, because its rows
 * come from higher folders too (tests/layers/check_layers.py). A new method is one file and one row here.
 */
#include "methods/method.h"

const hw__method *const hw__methods[] = {
    &hw__method_rollout,       &hw__method_contribution, &hw__method_logit,   &hw__method_attention, &hw__method_flow,
    &hw__method_leave_one_out, &hw__method_ablation,     &hw__method_uniform, &hw__method_random,
};
const size_t hw__n_methods = sizeof hw__methods / sizeof *hw__methods;
