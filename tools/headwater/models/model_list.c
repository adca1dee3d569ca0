/* model_list.c - a list that grows. */
#include "models/model_list.h"

#include "base/error.h"

#include <stdlib.h>

void model_list_free(model_list *list) {
    free(list->at);
    *list = (model_list){.at = NULL};
}

model_entry *model_list_add(model_list *list) {
    if (list->n == list->capacity) {
        size_t capacity = list->capacity ? 2 * list->capacity : 16;
        model_entry *resized = hw__realloc(list->at, capacity, sizeof *resized);
        if (!resized) {
            list->out_of_memory = true;
            return NULL;
        }
        list->at = resized;
        list->capacity = capacity;
    }
    list->at[list->n] = (model_entry){.repo = ""};
    return &list->at[list->n++];
}
