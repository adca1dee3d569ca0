/*
 * method_table.c - the methods, a row each, in the order that lists show them. This file holds the table and nothing else:
 * its rows stand in higher folders too (tests/layers/check_layers.py). A new method is one file and one row here.
 */
#include "methods/method.h"

const hw__method *const hw__methods[] = {
    &hw__method_rollout,       &hw__method_contribution, &hw__method_logit,   &hw__method_attention, &hw__method_flow,
    &hw__method_leave_one_out, &hw__method_ablation,     &hw__method_uniform, &hw__method_random,
};
const size_t hw__n_methods = sizeof hw__methods / sizeof *hw__methods;
