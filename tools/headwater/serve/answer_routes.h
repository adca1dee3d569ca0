/* answer_routes.h - routes of the APIs in serve/dialects/: rows of the table in routes.c. */
#ifndef HW_SERVE_ANSWER_ROUTES_H
#define HW_SERVE_ANSWER_ROUTES_H

#include "serve/answer.h"

answer handle_answer(call *c);
/* The loaded model, in the form that OpenAI's and Anthropic's clients read. */
answer handle_model_list(call *c);
/* The same of one model, by its id. */
answer handle_model(call *c);

#endif
