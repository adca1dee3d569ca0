/* method_tables.h - what the library can do, as JSON, for the page's menus and for reports. */
#ifndef HW_EXPORT_METHOD_TABLES_H
#define HW_EXPORT_METHOD_TABLES_H

#include "headwater.h"

#include <jansson.h>

/* Methods of one command or one request. */
enum { MOST_METHODS = 16 };

/* {"methods", "settings", "filters", "segmenters", "measures", "formats"}; `model` NULL: no method has a problem. NULL: no memory. */
json_t *tables_json(const hw_model_info *model);

/* The formats of an export: those of results, and "html" and "trace". `i` counts up to NULL. */
typedef struct export_format {
    const char *name, *extension, *type, *summary;
} export_format;
const export_format *tables_format(size_t i);

#endif
