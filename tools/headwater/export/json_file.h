/* json_file.h - writes a JSON document to a file atomically. */
#ifndef HW_EXPORT_JSON_FILE_H
#define HW_EXPORT_JSON_FILE_H

#include "base/json.h"

/* Sets `key` to text of any bytes [n]. If they are not UTF-8, invalid parts become U+FFFD, and `key`_bytes is set to
 * all of them in hexadecimal. Returns NULL, with the object released, when memory runs out or the object is NULL. */
json_t *json_file_put_text(json_t *object, const char *key, const char *bytes, size_t n);
/* Writes the document to `path` atomically and releases it; a NULL document is error MEMORY. Errors: as
 * hw__file_save(). */
hw_err json_file_save(json_t *document, const char *path, hw_error *err);

#endif
