/* json_file.h - a JSON document as a file that is whole or not there. */
#ifndef HW_EXPORT_JSON_FILE_H
#define HW_EXPORT_JSON_FILE_H

#include "base/json.h"

/* The object with `key` set to text of any bytes [n]; where they are not UTF-8 with U+FFFD in place of what is wrong, and
 * `key`_bytes to all of them in hexadecimal. NULL, with the object released, when there is no memory or no object. */
json_t *json_file_put_text(json_t *object, const char *key, const char *bytes, size_t n);
/* Writes the document (NULL: there was no memory to make it) by way of a file beside `path`, and releases it. False, with
 * the reason printed, when it could not be saved. */
bool json_file_save(json_t *document, const char *path);

#endif
