/* What the tables of functions share. Private to promql/. */
#ifndef PROMQL_FUNC_FUNC_H
#define PROMQL_FUNC_FUNC_H

#include "promql/eval/eval.h"

/* values.c: functions of each value, of the calendar, and smoothing. NULL: no such. */
const struct promql_function *promql_value_function_named(struct str name);

#endif
