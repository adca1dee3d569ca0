/* method_tables.h - methods, settings and formats of the library as JSON, for the page's menus and for reports. */
#ifndef HW_EXPORT_METHOD_TABLES_H
#define HW_EXPORT_METHOD_TABLES_H

#include "headwater.h"

#include <jansson.h>

/* Maximum number of methods in one command or one request. */
enum { MAX_METHODS = 16 };

/* {"methods", "options", "settings", "filters", "segmenters", "measures", "formats"}; `model` NULL: no method has a
 * problem. NULL: no memory. */
json_t *tables_json(const hw_model_info *model);

/* Export formats: those of results, and "html" and "trace". Ends with NULL. */
typedef struct export_format {
    const char *name, *extension, *type, *summary;
} export_format;
const export_format *tables_format(size_t i);

#endif
